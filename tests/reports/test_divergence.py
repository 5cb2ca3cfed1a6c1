import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimtab.reports.divergence import alone, divergence, multiplied_up


def result(**changes: Any) -> dict[str, Any]:
    steps, rate = 30, 0.2
    copy = {
        "exponent": rate,
        "interval": None,
        "rates": [rate] * (steps // 2),
        "distances": [min(1e-5 * math.exp(rate * step), 0.1) for step in range(steps + 1)],
    }
    return {
        "run": "runs/first", "run_id": "x", "at": 100, "steps": 20, "discard": 10, "epsilon": 1e-5, "renormalise_every": 2,
        "exponent": rate, "interval": (0.1, 0.3), "copies": [copy, copy], **changes,
    }  # fmt: skip


def test_the_distances_and_their_product_of_growth() -> None:
    free, grown = alone(result(), 1), multiplied_up(result(), 1)
    assert list(free.steps) == list(range(100, 131)) and free.values[-1] < 0.1 + 1e-12
    assert list(grown.steps) == list(range(100, 131, 2))
    assert np.allclose(grown.values, 1e-5 * np.exp(0.2 * np.arange(0, 31, 2)))


def test_values_that_a_log_scale_cannot_show_are_left_out() -> None:
    copy = {"exponent": math.nan, "interval": None, "rates": [0.1, -math.inf], "distances": [1e-5, 0.0, math.nan]}
    chaos = result(copies=[copy], exponent=math.nan, interval=None)
    assert list(alone(chaos, 0).steps) == [100] and list(multiplied_up(chaos, 0).steps) == [100, 102]


@pytest.mark.parametrize("changes", [{}, {"exponent": math.nan}, {"exponent": 60.0, "interval": None}])
def test_the_same_figures_give_the_same_bytes(tmp_path: Path, changes: dict[str, Any]) -> None:
    hashes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths = divergence(result(**changes), tmp_path / name)
        assert [path.name for path in paths] == ["divergence.svg", "divergence.png"]
        hashes.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
    assert hashes[0] == hashes[1]
    assert (tmp_path / "a" / "divergence.svg").read_bytes().startswith(b"<?xml")
