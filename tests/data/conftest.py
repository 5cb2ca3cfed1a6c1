from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache") / "trimtab"
    monkeypatch.setenv("TRIMTAB_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def bpe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE with 600 ids, trained on the embedded corpus."""
    from trimtab.data import train_bpe

    out = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    train_bpe(None, 600, out)
    return out
