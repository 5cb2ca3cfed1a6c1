"""The winner's curse: its expected size, and searches over pure noise."""

import math

import numpy as np
import pytest

from tests.search.functions import OPTIMIZERS, PLANE
from trimtab.search.optimism import expected_optimism


@pytest.mark.parametrize(
    ("trials", "expected"),
    [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (9, 1.48501), (30, 2.04276), (60, 2.31928)],
)
def test_the_expected_maximum_of_normal_variables(trials: int, expected: float) -> None:
    """2 and 3 have closed forms; the others are tabulated (Harter 1961)."""
    assert expected_optimism(trials) == pytest.approx(expected, abs=1e-4)


def test_it_grows_with_the_noise_and_a_draw_agrees() -> None:
    assert expected_optimism(30, 0.0077) == pytest.approx(0.0157, abs=1e-4)
    drawn = np.random.default_rng(0).standard_normal((20_000, 100)).max(axis=1).mean()
    assert expected_optimism(100) == pytest.approx(drawn, abs=0.02)


@pytest.mark.parametrize("name", ["random", "pso", "annealing", "climb", "cma"])
def test_over_pure_noise_the_best_of_30_looks_two_standard_deviations_better(name: str) -> None:
    found, confirmed = [], []
    for seed in range(300):
        noise = np.random.default_rng((7, seed))
        optimizer = OPTIMIZERS[name](PLANE, budget=30, seed=seed)
        for _ in range(30):
            optimizer.tell(optimizer.ask(), float(noise.standard_normal()))
        assert optimizer.best is not None
        found.append(optimizer.best[1])
        confirmed.append(noise.standard_normal())
    assert -np.mean(found) == pytest.approx(expected_optimism(30), abs=0.1)
    assert abs(np.mean(confirmed)) < 0.1


def test_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="trials: it must be at least 1, but it is 0"):
        expected_optimism(0)
