"""The cells of ablations: their folders, and the numbers of vectors that are enough."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from trimtab.config.memory import AblationsConfig
from trimtab.memory import ablating
from trimtab.memory.ablating import ablations, enough
from trimtab.memory.stages import Bench


def test_a_number_of_vectors_is_enough_only_where_all_larger_ones_are() -> None:
    assert enough({1: 0.2, 2: 0.6, 4: 0.4, 8: 0.5, 16: 0.9}, 0.5) == 8
    assert enough({16: 0.9, 2: 0.6, 1: 0.5}, 0.5) == 1  # in whatever order they were listed
    assert enough({4: 1.0, 8: 1.0, 16: 0.9}, 0.95) is None and enough({}, 0.5) is None


def test_every_cell_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def solved(bench: Any, name: str, bounds: Any, **changed: Any) -> list[dict[str, Any]]:
        names.append(name)
        count = 1 if changed.get("vectors") == 8 else 0
        return [{"pair": "a", "status": "solved", "steps": 3, "seconds": 1.0, "loss": {}}] * count

    monkeypatch.setattr(ablating.stages, "ablation", solved)
    asked = AblationsConfig(pairs=1, vectors=(8, 16), learning_rate=(0.1, 0.1000001, 1.0))
    bench = Mock(spec=Bench, folder=tmp_path)
    bench.opened = Mock(config=Mock(ablations=asked), pairs=["a"])
    found = ablations(bench, {})
    assert names == ["vectors-8", "vectors-16", "learning_rate-0.1", "learning_rate-0.1000001", "learning_rate-1.0"]
    assert found["k_thresholds"] == {"0.5": None, "0.95": None}  # 8 vectors solve the pair, 16 do not
