"""What all optimisers share: numbered trials, one random generator for each, and the best so far."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.random import derive_seed
from trimtab.search.space import Point, Settings, Space


@dataclass(frozen=True, eq=False)
class Trial:
    """Settings to try. `point` is where the optimiser placed them in the unit cube; `number` counts from 0."""

    number: int
    point: Point
    settings: Settings


class Optimizer(ABC):
    """Chooses settings that make a value small, from the values of earlier ones.

    `ask` gives the next trial and `tell` takes its value; `ask` may be called while other trials are pending. The first trials
    are the settings in `initial`. A value that is not finite counts as worse than any other. The same seed, and the same calls
    with the same values, give the same trials: every trial draws from a generator of its own, and nothing else is random.

    A subclass has a `name`, `_propose` and `_learn`.
    """

    name: str

    def __init__(self, space: Space, *, budget: int, seed: int = 0, initial: Sequence[Mapping[str, Any]] = ()) -> None:
        if budget < 1:
            raise ValueError(f"the budget must be at least 1 trial, but it is {budget}")
        self.space, self.budget, self.seed = space, budget, seed
        self.initial = [space.point(settings) for settings in initial]
        self.asked = 0
        self.pending: dict[int, Trial] = {}
        self.best: tuple[Trial, float] | None = None

    def ask(self) -> Trial:
        """The next trial. Raises `ValueError` once the budget is used up."""
        if self.asked >= self.budget:
            raise ValueError(f"the budget of {self.budget} trials is used up")
        number = self.asked
        given = self.initial[number] if number < len(self.initial) else None
        point = self._propose(number, self.generator("propose", number), given)
        self.asked += 1
        trial = Trial(number, point, self.space.settings(point))
        self.pending[number] = trial
        return trial

    def tell(self, trial: Trial, value: float) -> None:
        """The value of a pending trial. Raises `ValueError` for another one."""
        own = self.pending.pop(trial.number, None)
        if own is None:
            raise ValueError(f"trial {trial.number} is not pending: it was told already, or never asked for")
        value = float(value) if math.isfinite(value) else math.inf
        if self.best is None or value < self.best[1]:
            self.best = own, value
        self._learn(own, value)

    def generator(self, purpose: str, number: int) -> np.random.Generator:
        """The random numbers of a trial for a purpose."""
        return np.random.Generator(np.random.PCG64(derive_seed(self.seed, "search", self.name, purpose, number)))

    @abstractmethod
    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        """The point of a trial; it is `given` where that is not None."""

    @abstractmethod
    def _learn(self, trial: Trial, value: float) -> None:
        """Take the value of a trial, which may be infinite."""


def reflected(point: Point) -> Point:
    """The point with coordinates outside of the unit cube mirrored at its sides."""
    folded = np.mod(point, 2.0)
    result: Point = np.where(folded > 1.0, 2.0 - folded, folded)
    return result


def moved(point: Point, step: float, choices: np.ndarray, random: np.random.Generator) -> Point:
    """A random neighbour: normal steps of standard deviation `step`. A choice is drawn anew with probability `step`, but at least
    half of 1 / keys, so that small steps do not fix the choices.

    If nothing but choices would move and none does, one of them is drawn anew.
    """
    result = reflected(point + step * random.standard_normal(len(point)))
    anew = random.random(len(point)) < max(step, 0.5 / len(point))
    if choices.all() and not anew.any():
        anew[random.integers(len(point))] = True
    drawn = random.random(len(point))
    mixed: Point = np.where(choices, np.where(anew, drawn, point), result)
    return mixed
