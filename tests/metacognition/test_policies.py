"""Budgets on tables whose right answers are known."""

import itertools
from typing import Any

import numpy as np
import pytest

from trimtab.metacognition.policies import Outcomes, compared

CAPS = (0, 3, 6, 9)


def table(needs: list[int | None], sure: list[list[float]] | None = None, use: list[float] | None = None) -> Outcomes:
    """Problems that need a number of tokens, and are right from there on (None: never), as their model knows or says."""
    rows: list[dict[str, Any]] = []
    for index, need in enumerate(needs):
        right = [need is not None and cap >= need for cap in CAPS]
        used = 9 if need is None else need
        rows.append(
            {
                "right": right,
                "used": used,
                "confidence_by_cap": [float(one) for one in right] if sure is None else sure[index],
                "use_by_cap": use or [float(min(cap, used)) for cap in CAPS],
                "prompt_tokens": 10 + index % 3,
            }
        )
    return Outcomes(rows, CAPS)


NEEDS: list[int | None] = [0, 3, 6, 9] * 5


def test_fixed_caps_and_their_hull_by_hand() -> None:
    outcomes = table(NEEDS)
    points = [(outcomes.fixed(index).accuracy, outcomes.fixed(index).tokens) for index in range(4)]
    assert points == [(0.25, 0.0), (0.5, 2.25), (0.75, 3.75), (1.0, 4.5)]
    assert outcomes.hull(0) == 0.25 and outcomes.hull(4.5) == outcomes.hull(99) == 1.0
    assert outcomes.hull(2.25) == pytest.approx(
        0.25 + 0.75 * 2.25 / 4.5
    )  # a mixture of the first and the last beats the second


def test_the_hull_is_the_best_of_all_mixtures() -> None:
    random = np.random.default_rng(0)
    outcomes = table([None if random.random() < 0.2 else int(3 * random.integers(0, 4)) for _ in range(60)])
    points = [outcomes.fixed(index) for index in range(4)]
    for tokens in (0.0, 1.0, 2.5, 4.0, 6.0):
        best = 0.0
        for weights in itertools.product(np.linspace(0, 1, 21), repeat=4):
            total = sum(weights)
            if (
                abs(total - 1) < 1e-9
                and sum(w * p.tokens for w, p in zip(weights, points, strict=True)) <= tokens + 1e-9
            ):
                best = max(best, sum(w * p.accuracy for w, p in zip(weights, points, strict=True)))
        assert best - 1e-9 <= outcomes.hull(tokens) <= best + 0.03


def test_the_oracle_has_the_shortest_thoughts_whole() -> None:
    outcomes = table([0, 3, 3, 9, None])
    assert [outcomes.oracle(tokens) for tokens in (0, 0.6, 1.2, 2.9, 3.0, 50)] == [0.2, 0.4, 0.6, 0.6, 0.8, 0.8]
    outcomes.right[3] = True  # right by luck without a thought, which costs it nothing
    assert outcomes.oracle(0) == 0.4


def test_a_model_that_knows_its_need_beats_the_hull_and_its_caps_at_random_do_not() -> None:
    figures = compared(table(NEEDS), table(NEEDS), 0.5)
    assert figures["predicted"]["gain"] > 0.1
    assert figures["share_of_oracle"] == pytest.approx(1.0, abs=0.01)
    assert figures["shuffled"]["gain"] <= 1e-9 and figures["prompt_length"]["gain"] <= 1e-9
    assert figures["predicted"]["tokens"] <= 0.5 * 4.5 + 1e-9
    assert figures["free"] == {"accuracy": 1.0, "tokens": 4.5, "hull": 1.0, "gain": 0.0}
    assert figures["calibration"] == {f"cap_{cap}": 0.0 for cap in CAPS}


def test_a_model_that_knows_nothing_gains_nothing() -> None:
    ignorant = [[0.25, 0.5, 0.75, 1.0]] * len(NEEDS)
    outcomes = table(NEEDS, ignorant, [0.0, 2.0, 4.0, 5.0])
    assert compared(outcomes, outcomes, 0.5)["predicted"]["gain"] <= 1e-9


def test_the_calibration_error_and_its_floor() -> None:
    random = np.random.default_rng(1)
    sure = [[float(one)] * 4 for one in random.random(2000)]
    outcomes = table([0] * 2000, sure)
    outcomes.right[:] = random.random((2000, 4)) < np.array(sure)
    error, floor = outcomes.calibration_error(1)
    assert error == pytest.approx(floor, abs=0.015) and 0.01 < floor < 0.03
    outcomes.right[:, 1] = True
    assert outcomes.calibration_error(1)[0] == pytest.approx(1 - float(np.mean(sure)))


def test_shuffled_caps_are_the_mean_over_all_orders() -> None:
    outcomes = table([0, 3, 9])
    chosen = np.array([0, 2, 3])
    orders = [outcomes.under(np.array(order)) for order in itertools.permutations(chosen.tolist())]
    mean = outcomes.shuffled(chosen)
    assert mean.accuracy == pytest.approx(float(np.mean([one.accuracy for one in orders])))
    assert mean.tokens == pytest.approx(float(np.mean([one.tokens for one in orders])))
