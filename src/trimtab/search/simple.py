"""Random search and grid search."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.space import Choice, Point, Space


class RandomSearch(Optimizer):
    """Points drawn uniformly from the unit cube (Bergstra and Bengio 2012)."""

    name = "random"

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        return random.random(len(self.space)) if given is None else given

    def _learn(self, trial: Trial, value: float) -> None:
        del trial, value


class GridSearch(Optimizer):
    """Every combination of some values per key, in an order that depends on the seed.

    `levels` is how many values a number has: one count for all keys, or a count by key (3 for the others). They are in the middle
    of equal parts of its scale. Whole numbers have at most as many values as there are, and choices have all of theirs. Raises
    `ValueError` for a grid larger than the budget.
    """

    name = "grid"

    def __init__(
        self,
        space: Space,
        *,
        budget: int,
        seed: int = 0,
        initial: Sequence[Mapping[str, Any]] = (),
        levels: Annotated[
            int | Mapping[str, int],
            Field(description="values per number: one count for all keys, or a count by key (3 for the others)"),
        ] = 3,
    ) -> None:
        super().__init__(space, budget=budget, seed=seed, initial=initial)
        counts = {}
        for key, parameter in space.parameters.items():
            if isinstance(parameter, Choice):
                counts[key] = len(parameter.values)
                continue
            count = levels if isinstance(levels, int) else levels.get(key, 3)
            if count < 1:
                raise ValueError(f"levels: {key} must have at least 1 value, not {count}")
            counts[key] = min(count, int(parameter.high - parameter.low) + 1) if parameter.whole else count
        axes = [(np.arange(count) + 0.5) / count for count in counts.values()]
        points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)
        # Keys that other settings make void would repeat the same settings.
        distinct = {tuple(sorted((k, repr(v)) for k, v in space.settings(p).items())): p for p in points[::-1]}
        self.points = np.array(list(distinct.values())[::-1])
        if len(self.points) + len(self.initial) > budget:
            sizes = " × ".join(map(str, counts.values()))
            raise ValueError(
                f"levels: the grid has {len(self.points)} settings ({sizes}), but the budget is {budget} trials"
                f"{f', {len(self.initial)} of them given' if self.initial else ''}"
            )
        self._order = self.generator("order", 0).permutation(len(self.points))

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        if given is not None:
            return given
        place = number - len(self.initial)
        if place >= len(self.points):  # the budget is larger than the grid
            return random.random(len(self.space))
        point: Point = self.points[self._order[place]]
        return point

    def _learn(self, trial: Trial, value: float) -> None:
        del trial, value
