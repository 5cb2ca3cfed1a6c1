"""Hill climbing and annealing: Metropolis' rule, temperatures, steps."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tests.search.functions import PLANE, bowl, searched
from trimtab.search import Annealing, HillClimb, RandomSearch
from trimtab.search.local import accepted


@pytest.mark.parametrize("change", [0.05, 0.3, 1.0, 2.5])
def test_acceptance_has_metropolis_probability(change: float) -> None:
    uniform = np.random.default_rng(0).random(10_000)
    count = sum(accepted(change, 0.7, float(u)) for u in uniform)
    low, high = stats.binom.interval(0.99, 10_000, math.exp(-change / 0.7))
    assert low <= count <= high


def test_better_is_always_accepted_and_worse_never_at_temperature_0() -> None:
    assert accepted(0.0, 0.0, 0.999) and accepted(-1.0, 0.0, 0.999)
    assert not accepted(1e-12, 0.0, 0.0) and not accepted(math.inf, 1.0, 0.0)


def test_a_chain_of_ten_states_has_boltzmanns_distribution() -> None:
    energies = np.array([0.0, 0.4, 1.0, 0.2, 1.5, 0.7, 0.1, 2.0, 0.9, 0.3])
    random = np.random.default_rng(1)
    steps, uniform = random.choice([-1, 1], 200_000), random.random(200_000)
    state, visits = 0, np.zeros(10)
    for step, u in zip(steps, uniform, strict=True):
        other = (state + step) % 10
        if accepted(float(energies[other] - energies[state]), 0.8, float(u)):
            state = other
        visits[state] += 1
    expected = np.exp(-energies / 0.8)
    assert np.abs(visits / visits.sum() - expected / expected.sum()).sum() / 2 < 0.02


def test_the_temperature_accepts_the_median_increase_with_a_falling_probability() -> None:
    annealing = Annealing(PLANE, budget=101, first=0.2, last=0.01)
    assert annealing.temperature(0) == 0.0
    annealing.increases = [1.0, 4.0, 2.0]
    for number, probability in ((0, 0.2), (50, math.sqrt(0.2 * 0.01)), (100, 0.01)):
        assert math.exp(-2.0 / annealing.temperature(number)) == pytest.approx(probability)


def test_worse_points_are_left_for_the_best_after_some_rejections() -> None:
    annealing = Annealing(PLANE, budget=30, patience=4)
    values = itertools.chain([0.0], [1.0], itertools.repeat(9.0))
    annealing.increases = [1e9]  # so hot that the second value is accepted
    for value in itertools.islice(values, 2):
        annealing.tell(annealing.ask(), value)
    assert annealing.current is not None and annealing.current[1] == 1.0
    annealing.increases = [1e-9]
    annealing.temperature = lambda number: 0.0  # type: ignore[method-assign]
    for _ in range(4):
        annealing.tell(annealing.ask(), 9.0)
    assert annealing.current[1] == 0.0


@pytest.mark.parametrize("make", [Annealing, HillClimb, lambda *a, **k: Annealing(*a, variant="vfsa", **k)])
def test_it_finds_the_bowl(make) -> None:
    ours, random = (
        [min(value for _, value in searched(kind(PLANE, budget=60, seed=seed))) for seed in range(20)]
        for kind in (make, RandomSearch)
    )
    assert np.median(ours) < 0.7 * np.median(random)


def test_steps_grow_with_success_and_shrink_with_failure() -> None:
    climb = HillClimb(PLANE, budget=10, step=0.1)
    for value, expected in ((3.0, 0.1), (2.0, 0.15), (5.0, 0.15 * 1.5**-0.25)):
        climb.tell(climb.ask(), value)
        assert climb.step == pytest.approx(expected)
    smallest = HillClimb(PLANE, budget=400, step=0.1)
    searched(smallest, lambda settings: 0.0)
    assert smallest.step == HillClimb.SMALLEST
    assert bowl(PLANE.settings(np.full(2, 0.5))) > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HillClimb(PLANE, budget=5, step=0.0), "step: it must be above 0 and at most 0.5, but it is 0.0"),
        (lambda: Annealing(PLANE, budget=5, first=0.1, last=0.2), "first, last: 0 < last ≤ first < 1 must hold"),
        (lambda: Annealing(PLANE, budget=5, patience=0), "patience: it must be at least 1"),
        (lambda: Annealing(PLANE, budget=5, variant="hot"), "variant: 'hot' is unknown. Known: metropolis, vfsa"),
    ],
)
def test_what_does_not_suit_is_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
