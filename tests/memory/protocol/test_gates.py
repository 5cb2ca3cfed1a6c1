"""Gates, hints, and the shapes of loss curves."""

from typing import Any

import numpy as np
import pytest

from trimtab.memory.protocol.candidates import curve_shape, thinned
from trimtab.memory.protocol.gates import correlation_interval, gate, joint_hints


def row(question: float, answer: float, status: str = "unsolved", pair: str = "", restart: int = 0) -> dict[str, Any]:
    """A candidate's row; by default each belongs to a different pair."""
    pair = pair or f"{question} {answer}"
    return {"pair": pair, "restart": restart, "status": status, "loss": {"question": question, "answer": answer}}


def test_a_gate_reports_its_share_and_what_to_look_at() -> None:
    passed, closed = gate("joint", 40, 100, 0.3), gate("joint", 29, 100, 0.3)
    assert passed.passed and passed.message == "40 of 100 pairs are solved, at least the gate of 30%."
    assert not closed.passed and "below the gate of 30%" in closed.message and "number of vectors" in closed.message
    assert closed.low < 0.29 < closed.high
    assert gate("joint", 30, 100, 0.3).passed  # a share equal to the threshold passes


def test_anti_correlated_sides_give_a_hint() -> None:
    against = [row(value, 3 - value) for value in np.linspace(0.5, 2.5, 8)]
    together = [row(value, value) for value in np.linspace(0.5, 2.5, 8)]
    (hint,) = joint_hints(against)
    assert (
        "Over the 8 unsolved pairs" in hint and "(-1.00, 95% interval -1.00 to -1.00)" in hint and "paraphrases" in hint
    )
    same = [row(1.0, 1.0, pair=str(index)) for index in range(8)]
    assert joint_hints(together) == joint_hints(against[:5]) == joint_hints(same) == []


def test_an_anti_correlation_within_chance_gives_no_hint() -> None:
    answers = [2.0, 1.2, 2.4, 0.9, 1.7, 1.0]
    few = [row(index + 1.0, answer) for index, answer in enumerate(answers)]
    correlation = float(np.corrcoef(range(6), answers)[0, 1])
    assert correlation < -0.3 and correlation_interval(correlation, 6)[1] > 0 and joint_hints(few) == []
    # four restarts of each pair are not more evidence
    again = [one | {"restart": restart} for one in few for restart in range(4)]
    assert joint_hints(again) == [] and joint_hints([one | {"pair": f"{n}"} for n, one in enumerate(again)]) != []


def test_only_the_last_restart_of_a_pair_counts() -> None:
    first = [row(value, 3 - value, pair=f"{value}") for value in np.linspace(0.5, 2.5, 8)]
    last = [row(value, value, pair=f"{value}", restart=1) for value in np.linspace(0.5, 2.5, 8)]
    assert joint_hints(first) != [] and joint_hints(last + first) == []
    assert joint_hints(first + [one | {"status": "solved"} for one in last]) == []


def test_the_interval_of_a_correlation_is_fishers() -> None:
    # Fisher's z of 0.5 is 0.5493; over 28 pairs its standard error is 0.2
    assert correlation_interval(0.5, 28) == pytest.approx((np.tanh(0.5493 - 0.392), np.tanh(0.5493 + 0.392)), abs=1e-4)
    assert correlation_interval(-1.0, 6) == (-1.0, -1.0)


def test_losses_of_exactly_zero_are_reported_as_a_leak() -> None:
    assert "leaks" in joint_hints([row(0.0, 0.5, "solved")] * 2 + [row(0.1, 0.5, "solved")] * 8)[0]
    assert joint_hints([row(0.0, 0.5, "solved")] + [row(0.1, 0.5, "solved")] * 9) == []


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
def test_the_shape_of_a_loss_curve(losses: np.ndarray, shape: str) -> None:
    assert curve_shape(losses) == shape


def test_thinned_steps_keep_both_ends() -> None:
    assert thinned(np.zeros((3, 2))) == [0, 1, 2]
    steps = thinned(np.zeros((501, 2)), 50)
    assert steps[0] == 0 and steps[-1] == 500 and len(steps) == 50 and steps == sorted(steps)
