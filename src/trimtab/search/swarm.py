"""Particle swarms."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.space import Point, Space

PULL = 2.05
"""The weight of each attraction, half of φ = 4.1."""
CONSTRICTION = 2.0 / abs(2.0 - 2 * PULL - math.sqrt((2 * PULL) ** 2 - 4 * 2 * PULL))
"""χ = 0.72984 (Clerc and Kennedy 2002)."""
INERTIA, ACCELERATION = 1.0 / (2.0 * math.log(2.0)), 0.5 + math.log(2.0)
"""Of SPSO-2011."""


@dataclass
class Particle:
    """A place, its velocity, and the best that this particle found; `value` is infinite while nothing is known."""

    place: Point
    velocity: Point
    best: Point
    value: float = math.inf


class ParticleSwarm(Optimizer):
    """A swarm in which each particle is drawn to its own best point and to the best of its neighbours on a ring.

    Trial n moves particle n mod `swarm`, with what is known by then. `variant` is `constriction` (Clerc and Kennedy 2002) or
    `spso2011` (Clerc 2012: a point in a ball around the centre of both attractions). The first velocities lead to uniform points,
    because particles that start at rest hardly move within a small budget. A particle that leaves the cube stops at its side and
    turns back at half its speed.

    By default the swarm has 6 particles, or a fifth of the budget if that is less. Raises `ValueError` for a swarm larger than a
    fifth of the budget, which would be little more than random search, or for an unknown variant.
    """

    name = "pso"

    def __init__(
        self,
        space: Space,
        *,
        budget: int,
        seed: int = 0,
        initial: Sequence[Mapping[str, Any]] = (),
        swarm: Annotated[
            int | None,
            Field(description="particles, at most a fifth of the trials; null: 6, or that fifth if it is less"),
        ] = None,
        variant: Annotated[str, Field(description="constriction or spso2011")] = "constriction",
    ) -> None:
        super().__init__(space, budget=budget, seed=seed, initial=initial)
        most = max(2, budget // 5)
        self.swarm = min(6, most) if swarm is None else swarm
        if not 2 <= self.swarm <= most:
            raise ValueError(
                f"swarm: a swarm of {self.swarm} does not suit a budget of {budget} trials. Choose 2 to {most} particles "
                "(at most a fifth of the budget)"
            )
        if variant not in ("constriction", "spso2011"):
            raise ValueError(f"variant: '{variant}' is unknown. Known: constriction, spso2011")
        self.variant = variant
        self.particles: list[Particle] = []

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        size = len(self.space)
        if number < self.swarm:
            place = random.random(size) if given is None else given
            self.particles.append(Particle(place, random.random(size) - place, place))
            return place
        index = number % self.swarm
        particle = self.particles[index]
        if given is not None:
            particle.place = given
            return given
        ring = [self.particles[(index + offset) % self.swarm] for offset in (0, -1, 1)]
        leader = min(ring, key=lambda one: one.value)
        move = constricted if self.variant == "constriction" else ball
        place, velocity = move(particle, leader, random)
        outside = (place < 0.0) | (place > 1.0)
        particle.place = np.clip(place, 0.0, 1.0)
        particle.velocity = np.where(outside, -0.5 * velocity, velocity)
        return particle.place

    def _learn(self, trial: Trial, value: float) -> None:
        particle = self.particles[trial.number % self.swarm]
        if value < particle.value:
            particle.best, particle.value = trial.point, value


def constricted(particle: Particle, leader: Particle, random: np.random.Generator) -> tuple[Point, Point]:
    """The next place and velocity: v ← χ (v + 2.05 r₁ (p − x) + 2.05 r₂ (l − x)), x ← x + v."""
    own, other = random.random((2, len(particle.place)))
    pulls = PULL * own * (particle.best - particle.place) + PULL * other * (leader.best - particle.place)
    velocity = CONSTRICTION * (particle.velocity + pulls)
    return particle.place + velocity, velocity


def ball(particle: Particle, leader: Particle, random: np.random.Generator) -> tuple[Point, Point]:
    """The next place and velocity: a random point of the ball around the centre of x, x + c (p − x) and x + c (l − x)."""
    x = particle.place
    toward_own = x + ACCELERATION * (particle.best - x)
    toward_leader = x + ACCELERATION * (leader.best - x)
    centre = (x + toward_own) / 2 if leader is particle else (x + toward_own + toward_leader) / 3
    direction = random.standard_normal(len(x))
    direction /= np.linalg.norm(direction)
    target = centre + random.random() * float(np.linalg.norm(centre - x)) * direction
    velocity = INERTIA * particle.velocity + target - x
    return x + velocity, velocity
