"""Particle swarms: the update by hand, the ring, bounds."""

import math

import numpy as np
import pytest

from tests.search.functions import PLANE, bowl, searched
from trimtab.search import ParticleSwarm
from trimtab.search.swarm import CONSTRICTION, Particle, constricted


def test_the_constriction_is_the_published_one() -> None:
    assert pytest.approx(0.72984, abs=5e-6) == CONSTRICTION


def test_an_update_by_hand() -> None:
    x, v, p, g = (np.array(values) for values in ([0.2, 0.6], [0.05, -0.1], [0.3, 0.5], [0.9, 0.1]))
    own, leader = Particle(x, v, p, 2.0), Particle(g, v, g, 1.0)
    r1, r2 = np.random.default_rng(5).random((2, 2))
    expected = 0.7298437881283576 * (v + 2.05 * r1 * (p - x) + 2.05 * r2 * (g - x))
    place, velocity = constricted(own, leader, np.random.default_rng(5))
    np.testing.assert_allclose(velocity, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(place, x + expected, rtol=0, atol=1e-12)


def test_a_particle_follows_the_best_of_its_ring_only() -> None:
    """Particle 0 of 5 sees particles 4 and 1. Particle 2 is best, and particle 0 must not move toward it."""
    swarm = ParticleSwarm(PLANE, budget=25, seed=0)
    trials = [swarm.ask() for _ in range(5)]
    for trial, value in zip(trials, (5.0, 4.0, 1.0, 3.0, 2.0), strict=True):
        swarm.tell(trial, value)
    before = swarm.particles[0].place, swarm.particles[0].velocity
    moved = swarm.ask()
    r1, r2 = swarm.generator("propose", 5).random((2, 2))
    pull = 2.05 * r2 * (trials[4].point - before[0])  # its own best is where it is
    assert r1.shape == r2.shape
    np.testing.assert_allclose(moved.point, np.clip(before[0] + CONSTRICTION * (before[1] + pull), 0, 1), atol=1e-12)


@pytest.mark.parametrize("variant", ["constriction", "spso2011"])
def test_particles_stay_in_the_cube_and_find_the_bowl(variant: str) -> None:
    values = []
    for seed in range(10):
        swarm = ParticleSwarm(PLANE, budget=60, seed=seed, variant=variant)
        told = searched(swarm)
        assert all(((trial.point >= 0) & (trial.point <= 1)).all() for trial, _ in told)
        values.append(min(value for _, value in told))
    assert np.median(values) < 0.05


def test_a_member_with_nan_gets_a_best_point_in_the_next_round() -> None:
    swarm = ParticleSwarm(PLANE, budget=40, seed=0)
    searched_first = [swarm.ask() for _ in range(6)]
    for trial in searched_first:
        swarm.tell(trial, math.nan if trial.number == 2 else bowl(trial.settings))
    assert swarm.particles[2].value == math.inf
    for _ in range(6):
        trial = swarm.ask()
        swarm.tell(trial, bowl(trial.settings))
    assert math.isfinite(swarm.particles[2].value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"swarm": 9}, "swarm: a swarm of 9 does not suit a budget of 40 trials. Choose 2 to 8 particles"),
        ({"swarm": 1}, "Choose 2 to 8"),
        ({"variant": "ring"}, "variant: 'ring' is unknown. Known: constriction, spso2011"),
    ],
)
def test_what_does_not_suit_is_refused(options, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ParticleSwarm(PLANE, budget=40, **options)
