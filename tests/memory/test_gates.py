"""Gates, hints and the shapes of loss curves."""

from typing import Any

import numpy as np
import pytest

from trimtab.memory.curves import curve_shape, thinned
from trimtab.memory.gates import gate, hints


def row(question: float, answer: float, status: str = "unsolved") -> dict[str, Any]:
    return {"status": status, "loss": {"question": question, "answer": answer}}


def test_a_gate_says_its_share_and_what_to_look_at() -> None:
    passed, closed = gate("joint", 40, 100, 0.3), gate("joint", 29, 100, 0.3)
    assert passed.passed and passed.message == "40 of 100 pairs are solved; the gate of 30% is passed."
    assert not closed.passed and "under the gate of 30%" in closed.message and "number of vectors" in closed.message
    assert closed.low < 0.29 < closed.high
    assert gate("joint", 30, 100, 0.3).passed  # the threshold itself is enough


def test_sides_that_work_against_each_other_are_named() -> None:
    against = [row(value, 3 - value) for value in np.linspace(0.5, 2.5, 8)]
    together = [row(value, value) for value in np.linspace(0.5, 2.5, 8)]
    (told,) = hints(against)
    assert "correlation -1.00 over 8" in told and "paraphrases" in told
    assert hints(together) == hints(against[:5]) == [] and hints([row(1.0, 1.0)] * 8) == []


def test_losses_of_nothing_are_a_leak() -> None:
    assert "leaks" in hints([row(0.0, 0.5, "solved")] * 2 + [row(0.1, 0.5, "solved")] * 8)[0]
    assert hints([row(0.0, 0.5, "solved")] + [row(0.1, 0.5, "solved")] * 9) == []


@pytest.mark.parametrize(
    ("losses", "shape"),
    [
        (10 * 0.9 ** np.arange(60.0), "healthy"),
        (np.full(30, 8.0), "flat"),
        (8.0 + 0.1 * np.arange(40.0), "diverging"),
        (np.array([8.0, np.nan]), "diverging"),
        (np.r_[10.0, np.linspace(6.2, 5.8, 40), 5.8 * 0.7 ** np.arange(20.0)], "plateau"),
        (np.linspace(10, 5, 60) + np.tile([0.0, 3.0], 30), "oscillating"),
        (np.array([5.0]), "flat"),
    ],
)  # fmt: skip
def test_curves_have_shapes(losses: np.ndarray, shape: str) -> None:
    assert curve_shape(losses) == shape


def test_thinned_steps_keep_both_ends() -> None:
    assert thinned(np.zeros((3, 2))) == [0, 1, 2]
    steps = thinned(np.zeros((501, 2)), 50)
    assert steps[0] == 0 and steps[-1] == 500 and len(steps) == 50 and steps == sorted(steps)
