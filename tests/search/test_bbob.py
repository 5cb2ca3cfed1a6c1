"""The optimisers against random search on the 24 noiseless BBOB functions (Hansen et al. 2009), in 5 dimensions.

144 pairs of searches of 60 trials: 3 instances of each function, 2 seeds. A pair counts as a win or a loss if the regrets (the
difference from the optimum) differ by more than a quarter, else as a draw.
"""

from collections.abc import Callable
from functools import cache

import ioh
import numpy as np
import pytest

from trimtab.search import Annealing, HillClimb, Number, Optimizer, ParticleSwarm, RandomSearch, Space
from trimtab.search.cma import CmaEs

KEYS = [f"x{index}" for index in range(5)]
SPACE = Space({key: Number(-5.0, 5.0) for key in KEYS})
CASES = [(function, instance, seed) for function in range(1, 25) for instance in (1, 2, 3) for seed in (0, 1)]
BUDGET = 60


def regrets(make: Callable[..., Optimizer], offset: int) -> np.ndarray:
    found = []
    for function, instance, seed in CASES:
        problem = ioh.get_problem(function, instance=instance, dimension=5, problem_class=ioh.ProblemClass.BBOB)
        optimizer = make(SPACE, budget=BUDGET, seed=1000 * function + 10 * instance + seed + offset)
        for _ in range(BUDGET):
            trial = optimizer.ask()
            optimizer.tell(trial, problem([trial.settings[key] for key in KEYS]))
        assert optimizer.best is not None
        found.append(optimizer.best[1] - problem.optimum.y)
    return np.array(found)


@cache
def random_regrets() -> np.ndarray:
    return regrets(RandomSearch, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "wins", "losses"),
    [
        (ParticleSwarm, 0.65, 0.18),
        (lambda *a, **k: ParticleSwarm(*a, variant="spso2011", **k), 0.65, 0.18),
        (Annealing, 0.50, 0.25),
        (lambda *a, **k: Annealing(*a, variant="vfsa", **k), 0.50, 0.25),
        (HillClimb, 0.65, 0.18),
        (CmaEs, 0.65, 0.18),
    ],
    ids=["pso", "spso2011", "annealing", "vfsa", "climb", "cma"],
)
def test_against_random_search(make: Callable[..., Optimizer], wins: float, losses: float) -> None:
    ratio = regrets(make, 50_000) / random_regrets()
    assert np.mean(ratio < 1 / 1.25) >= wins
    assert np.mean(ratio > 1.25) <= losses


@pytest.mark.slow
def test_another_random_search_neither_wins_nor_loses() -> None:
    ratio = regrets(RandomSearch, 50_000) / random_regrets()
    assert abs(np.mean(ratio < 1 / 1.25) - np.mean(ratio > 1.25)) < 0.13  # two standard errors, and a little
