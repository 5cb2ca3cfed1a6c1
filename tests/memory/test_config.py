"""Invalid settings in a memory run's config are refused."""

from typing import Any

import pytest

from trimtab.config import ConfigError
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.memory.config import MemoryConfig


def resolve(**changes: Any) -> MemoryConfig:
    minimal = {"model": {"name": "pretrained", "path": "m"}, "pairs": {"name": "jsonl", "path": "p.jsonl"}}
    return resolve_root(MemoryConfig, minimal | changes, Source("memory.yaml"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"solve": {"positions": 0}}, "solve.positions: it should be greater than or equal to 1 or 'auto'; found 0"),
        ({"solve": {"positions": -60}}, "solve.positions: it should be greater than or equal to 1"),
        ({"solve": {"betas": [1.0, 0.9]}}, "solve.betas[0]: it should be less than 1; found 1.0"),
        ({"solve": {"betas": [0.9, -0.5]}}, "solve.betas[1]: it should be greater than or equal to 0; found -0.5"),
        ({"ablations": {"vectors": [2, 4, 2]}}, "ablations.vectors: 2 is listed twice"),
        ({"ablations": {"learning_rate": [0.1, 0.1]}}, "ablations.learning_rate: 0.1 is listed twice"),
    ],
)
def test_an_invalid_setting_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(**changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_values_at_the_limits_are_accepted() -> None:
    config = resolve(solve={"positions": 1, "betas": [0.0, 0.999]}, ablations={"learning_rate": [0.1, 0.1000001]})
    assert config.solve.betas == (0.0, 0.999) and len(config.ablations.learning_rate) == 2
