"""Covariance matrix adaptation, by the package `cmaes`."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.random import derive_seed
from trimtab.search.extra import needed
from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.space import Point, Space

if TYPE_CHECKING:
    from cmaes import CMA


class CmaEs(Optimizer):
    """CMA-ES (Hansen and Ostermeier 2001) on the unit cube.

    It starts in the middle of the space, or at the best of `initial`, with the standard deviation `step`. A generation is the
    next `population` trials whose values arrive, in any order; by default 4 + 3 ln(keys), rounded down.

    Raises `ValueError` for a space of one key, a step that is not above 0 and at most 1, or a population below 4.
    """

    name = "cma"

    def __init__(
        self,
        space: Space,
        *,
        budget: int,
        seed: int = 0,
        initial: Sequence[Mapping[str, Any]] = (),
        step: Annotated[
            float, Field(description="the first standard deviation, as a share of each key's scale")
        ] = 0.25,
        population: Annotated[int | None, Field(description="trials of a generation; null: 4 + 3 ln(keys)")] = None,
    ) -> None:
        super().__init__(space, budget=budget, seed=seed, initial=initial)
        if len(space) == 1:
            raise ValueError("cma: it needs at least two keys; `climb` searches over one")
        if not 0 < step <= 1:
            raise ValueError(f"step: it must be above 0 and at most 1, but it is {step}")
        if population is not None and population < 4:
            raise ValueError(f"population: it must be at least 4, but it is {population}")
        self.step, self.population = step, population or 4 + int(3 * math.log(len(space)))
        self._package = needed("cmaes", "cma")
        self._cma: CMA | None = None
        self._generation: list[tuple[np.ndarray, float]] = []

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        if given is not None:
            return given
        if self._cma is None:
            self._cma = self._started()
        point: Point = np.clip(self._cma.ask(), 0.0, 1.0)
        return point

    def _started(self) -> "CMA":
        middle = np.full(len(self.space), 0.5)
        start = self.best[0].point if self.best is not None and math.isfinite(self.best[1]) else middle
        return self._package.CMA(
            mean=np.clip(start, 0.05, 0.95),
            sigma=self.step,
            bounds=np.tile([0.0, 1.0], (len(self.space), 1)),
            seed=derive_seed(self.seed, "search", self.name) % 2**32,
            population_size=self.population,
        )

    def _learn(self, trial: Trial, value: float) -> None:
        if self._cma is None or trial.number < len(self.initial):
            return
        self._generation.append((trial.point, value))
        if len(self._generation) == self.population:
            worst = max((v for _, v in self._generation if math.isfinite(v)), default=0.0)
            self._cma.tell([(p, v if math.isfinite(v) else worst + 1.0) for p, v in self._generation])
            self._generation = []
