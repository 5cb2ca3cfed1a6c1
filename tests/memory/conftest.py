"""A small model with a tokenizer of its own, as a folder; one thread, which small products are fastest in."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.models.pretrained.folders import write
from trimtab.data import train_bpe


@pytest.fixture(autouse=True)
def one_thread(threads: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama that knows the tokens of a byte-level BPE, `<PAD>` the end token."""
    folder = tmp_path_factory.mktemp("models") / "small"
    made = train_bpe(None, 300, folder.parent / "tokenizer.json")
    write(folder, "llama", vocab_size=made.vocabulary, hidden_size=48, num_hidden_layers=2)
    shutil.copy(folder.parent / "tokenizer.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<PAD>"}))
    return folder
