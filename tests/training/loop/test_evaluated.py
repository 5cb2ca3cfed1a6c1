"""What is kept of evaluations."""

import math

from trimtab.config import EarlyStopping
from trimtab.training.loop.evaluated import Evaluated


def found(*losses: float, early: EarlyStopping | None = None) -> Evaluated:
    state = Evaluated()
    for index, loss in enumerate(losses, 1):
        state = state.after(index, {"val_loss": loss, "val_accuracy": 0.5}, early)
    return state


def test_the_best_is_the_lowest_and_the_latest_is_the_last() -> None:
    state = found(3.0, 1.0, 2.0)
    assert (state.best_loss, state.best_step, state.without_gain) == (1.0, 2, 1)
    assert state.latest == {"val_loss": 2.0, "val_accuracy": 0.5}


def test_a_small_gain_is_the_best_and_no_gain() -> None:
    state = found(3.0, 2.95, 2.9, early=EarlyStopping(minimum_gain=0.2))
    assert (state.best_loss, state.best_step) == (2.9, 3)
    assert (state.reference_loss, state.without_gain) == (3.0, 2)


def test_what_is_not_finite_is_neither() -> None:
    state = found(math.nan, 2.0, math.inf, -math.inf)
    assert (state.best_loss, state.reference_loss, state.without_gain) == (2.0, 2.0, 2)
