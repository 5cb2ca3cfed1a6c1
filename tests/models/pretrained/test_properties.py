"""A passed probe is cached by the model's fingerprint; anything else is probed again."""

import json
from pathlib import Path

import pytest

from tests.models.pretrained.families import tiny
from tests.models.pretrained.folders import load, write
from trimtab.config import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for one test."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "probes"


def test_a_result_is_cached_for_the_same_weights_only(tmp_path: Path, home: Path) -> None:
    folder = write(tmp_path / "one", "llama")
    assert load(folder).context == 64
    (cached,) = home.iterdir()
    assert json.loads(cached.read_text()) == {"context": 64, "drops_rows": True}
    cached.write_text(json.dumps({"context": 40, "drops_rows": True}))
    assert load(folder).context == 40
    assert load(write(tmp_path / "other", "llama", seed=1)).context == 64
    assert len(list(home.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "null",
        "[64]",
        "{}",
        '{"context": 64}',
        '{"context": 0, "drops_rows": true}',
        '{"context": 64, "drops_rows": 1}',
    ],
)
def test_a_damaged_cachedry_is_measured_again(content: str, tmp_path: Path, home: Path) -> None:
    folder = write(tmp_path / "one", "llama")
    load(folder)
    (cached,) = home.iterdir()
    cached.write_text(content)
    assert load(folder).context == 64
    assert json.loads(cached.read_text()) == {"context": 64, "drops_rows": True}


def test_a_failed_probe_is_not_cached(tmp_path: Path, home: Path) -> None:
    tiny("bert", is_decoder=False).save_pretrained(tmp_path / "bert")
    for _ in range(2):
        with pytest.raises(ConfigError, match="causality"):
            load(tmp_path / "bert")
    assert not home.exists()
