"""Searches that move a single point: hill climbing and simulated annealing."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial, moved, reflected
from trimtab.search.space import Point, Space


class HillClimb(Optimizer):
    """A (1+1) evolution strategy: a normal step from the best point, longer after a success and shorter after a failure.

    The step is multiplied by 1.5 after a success and by 1.5^(-1/4) after a failure, so it stays where one step in five succeeds
    (Rechenberg 1973; Kern et al. 2004). `step` is the first standard deviation, as a share of each key's scale. The first point
    is the middle of the space.
    """

    name = "climb"
    SMALLEST, LARGEST = 1e-3, 0.5

    def __init__(
        self,
        space: Space,
        *,
        budget: int,
        seed: int = 0,
        initial: Sequence[Mapping[str, Any]] = (),
        step: Annotated[
            float, Field(description="the first standard deviation of a step, as a share of each key's scale")
        ] = 0.2,
    ) -> None:
        super().__init__(space, budget=budget, seed=seed, initial=initial)
        if not 0 < step <= self.LARGEST:
            raise ValueError(f"step: it must be above 0 and at most {self.LARGEST}, but it is {step}")
        self.step = step

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        if given is not None:
            return given
        if self.best is None or not math.isfinite(self.best[1]):
            return np.full(len(self.space), 0.5) if number == 0 else random.random(len(self.space))
        return moved(self.best[0].point, self.step, self.space.choices, random)

    def _learn(self, trial: Trial, value: float) -> None:
        if trial.number <= len(self.initial):
            return
        success = self.best is not None and self.best[0] is trial
        step = self.step * (1.5 if success else 1.5**-0.25)
        self.step = min(max(step, self.SMALLEST), self.LARGEST)


class Annealing(Optimizer):
    """Simulated annealing (Kirkpatrick et al. 1983) with the acceptance rule of Metropolis et al. 1953.

    A neighbour that is worse by Δ is accepted with probability exp(−Δ / T). T is set by the differences that occur: with it, the
    median of the increases so far is accepted with a probability that falls geometrically from `first` to `last` over the budget.
    The standard deviation of a step falls from .3 to .03 of each key's scale (`metropolis`), or the step's distribution is the
    one of very fast annealing (`vfsa`, Ingber 1989), which has long tails. After `patience` rejections in a row the walk goes on
    from the best point. Raises `ValueError` for probabilities that do not fall or an unknown variant.
    """

    name = "annealing"
    STEPS = (0.3, 0.03)
    """The first and the last standard deviation."""
    TEMPERATURES = (0.1, 0.001)
    """The first and the last temperature of the steps of `vfsa`, whose median steps are then 0.23 and 0.03."""

    def __init__(
        self,
        space: Space,
        *,
        budget: int,
        seed: int = 0,
        initial: Sequence[Mapping[str, Any]] = (),
        first: Annotated[
            float, Field(description="the probability of accepting a median increase, at the beginning")
        ] = 0.2,
        last: Annotated[float, Field(description="the same at the end")] = 0.01,
        patience: Annotated[
            int, Field(description="rejections in a row after which the walk goes on from the best point")
        ] = 12,
        variant: Annotated[str, Field(description="metropolis or vfsa")] = "metropolis",
    ) -> None:
        super().__init__(space, budget=budget, seed=seed, initial=initial)
        if not 0 < last <= first < 1:
            raise ValueError(f"first, last: 0 < last ≤ first < 1 must hold, but they are {first} and {last}")
        if patience < 1:
            raise ValueError(f"patience: it must be at least 1, but it is {patience}")
        if variant not in ("metropolis", "vfsa"):
            raise ValueError(f"variant: '{variant}' is unknown. Known: metropolis, vfsa")
        self.first, self.last, self.patience, self.variant = first, last, patience, variant
        self.current: tuple[Point, float] | None = None
        self.increases: list[float] = []
        self.rejections = 0

    def temperature(self, number: int) -> float:
        """The temperature at a trial; 0 before the first increase."""
        if not self.increases:
            return 0.0
        probability = _falling(self.first, self.last, self._progress(number))
        return statistics.median(self.increases) / math.log(1.0 / probability)

    def _progress(self, number: int) -> float:
        return number / max(1, self.budget - 1)

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        if given is not None:
            return given
        if self.current is None:
            return np.full(len(self.space), 0.5) if number == 0 else random.random(len(self.space))
        move, (first, last) = (moved, self.STEPS) if self.variant == "metropolis" else (_long_tailed, self.TEMPERATURES)
        return move(self.current[0], _falling(first, last, self._progress(number)), self.space.choices, random)

    def _learn(self, trial: Trial, value: float) -> None:
        if self.current is None:
            self.current = (trial.point, value)
            return
        if trial.number < len(self.initial):  # the walk starts at the best of the given settings
            if value < self.current[1]:
                self.current = (trial.point, value)
            return
        change = value - self.current[1] if math.isfinite(value) else math.inf
        if math.isfinite(change) and change > 0:
            self.increases.append(change)
        uniform = float(self.generator("accept", trial.number).random())
        if accepted(change, self.temperature(trial.number), uniform):
            self.current, self.rejections = (trial.point, value), 0
            return
        self.rejections += 1
        if self.rejections >= self.patience and self.best is not None:
            self.current, self.rejections = (self.best[0].point, self.best[1]), 0


def accepted(change: float, temperature: float, uniform: float) -> bool:
    """Metropolis' rule: whether a change of the value is accepted, given a uniform random number."""
    if change <= 0:
        return True
    return temperature > 0 and uniform < math.exp(-change / temperature)


def _falling(first: float, last: float, progress: float) -> float:
    """A value that falls geometrically from `first` at progress 0 to `last` at 1."""
    return first * math.pow(last / first, progress)


def _long_tailed(point: Point, temperature: float, choices: np.ndarray, random: np.random.Generator) -> Point:
    """A neighbour whose steps are sgn(u − ½) T ((1 + 1/T)^|2u − 1| − 1)."""
    u = random.random(len(point))
    steps = np.sign(u - 0.5) * temperature * ((1 + 1 / temperature) ** np.abs(2 * u - 1) - 1)
    anew, drawn = random.random((2, len(point)))
    mixed: Point = np.where(
        choices, np.where(anew < max(temperature, 0.5 / len(point)), drawn, point), reflected(point + steps)
    )
    return mixed
