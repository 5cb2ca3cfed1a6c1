import json
from pathlib import Path

import pytest

from trimtab.data import train_bpe
from trimtab.data.tokenizers import PretrainedTokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PretrainedTokenizer:
    """A byte-level BPE trained on the embedded corpus, whose text `<PAD>` is the end token."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_bpe(None, 600, folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<PAD>"}))
    return PretrainedTokenizer(path=str(folder))


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of the shipped configs."""
    return Path(__file__).parents[3] / "configs"
