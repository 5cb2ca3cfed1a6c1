"""Comparisons of an optimiser with itself: how often the verdict rule finds a difference (slow tier)."""

import numpy as np
import pytest

from tests.search.functions import OPTIMIZERS, PLANE, bowl
from trimtab.evidence import Claim, judge, wilson_interval

COMPARISONS, PAIRS, TRIALS, FRESH, NOISE = 1000, 12, 15, 6, 0.3
CLAIM = Claim("confirmed", higher_is_better=False, margin=0.02)


def confirmed(name: str, seed: int, noise: np.random.Generator) -> float:
    """The mean on fresh seeds of the best settings that a search on a noisy function found."""
    optimizer = OPTIMIZERS[name](PLANE, budget=TRIALS, seed=seed)
    for _ in range(TRIALS):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial.settings) + NOISE * noise.standard_normal())
    assert optimizer.best is not None
    return bowl(optimizer.best[0].settings) + NOISE * float(noise.standard_normal(FRESH).mean())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_arms_of_the_same_optimiser_seldom_get_a_verdict() -> None:
    """Each member of a pair draws its own noise; the upper end of the 95% interval of the rate is at most .065."""
    false = 0
    for comparison in range(COMPARISONS):
        noise = np.random.default_rng((0, comparison))
        seeds = [(comparison * PAIRS + pair) * 2 for pair in range(PAIRS)]
        differences = [confirmed("random", seed + 1, noise) - confirmed("random", seed, noise) for seed in seeds]
        false += judge(differences, CLAIM).verdict in ("superior", "inferior")
    assert wilson_interval(false, COMPARISONS)[1] <= 0.065
