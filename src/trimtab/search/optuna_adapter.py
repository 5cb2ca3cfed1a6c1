"""Optuna's samplers as optimisers whose searches can be continued."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.random import derive_seed
from trimtab.search.extra import needed
from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.space import Choice, Parameter, Point, Space

SAMPLERS = ("tpe", "gp")


class OptunaSearch(Optimizer):
    """The tree-structured Parzen estimator (`tpe`, Bergstra et al. 2011) or a Gaussian process (`gp`) of Optuna.

    Every trial has a new sampler, whose seed is derived from the search's seed and the trial's number. So trials depend only on
    the values received so far, and a search can be continued exactly, which a study of Optuna cannot. The first `start` trials
    are random. A value that is not finite is infinite for Optuna, because Optuna forgets NaN. `gp` needs torch.
    """

    name = "optuna"

    def __init__(
        self,
        space: Space,
        *,
        budget: int,
        seed: int = 0,
        initial: Sequence[Mapping[str, Any]] = (),
        sampler: Annotated[str, Field(description="tpe or gp")] = "tpe",
        start: Annotated[int, Field(description="trials that are random, at the beginning")] = 10,
    ) -> None:
        super().__init__(space, budget=budget, seed=seed, initial=initial)
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler: '{sampler}' is unknown. Known: {', '.join(SAMPLERS)}")
        if start < 1:
            raise ValueError(f"start: it must be at least 1, but it is {start}")
        self.sampler, self.start = sampler, start
        optuna = self._optuna = needed("optuna", self.name)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study()
        self._trials: dict[int, Any] = {}

    def _propose(self, number: int, random: np.random.Generator, given: Point | None) -> Point:
        seed = derive_seed(self.seed, "search", self.name, number) % 2**32
        optuna = self._optuna
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self.sampler == "tpe":
                self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.start)
            else:
                self._study.sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=self.start)
            if given is not None:
                self._study.enqueue_trial(self._parameters(given))
            trial = self._study.ask()
            settings: dict[str, Any] = {}
            for key, parameter in self.space.parameters.items():
                if self.space.used(key, settings):
                    settings[key] = self._suggested(trial, parameter, key)
        self._trials[number] = trial
        return self.space.point(settings)

    def _suggested(self, trial: Any, parameter: Parameter, key: str) -> Any:
        if isinstance(parameter, Choice):
            return parameter.values[trial.suggest_categorical(key, range(len(parameter.values)))]
        if parameter.whole:
            return trial.suggest_int(key, int(parameter.low), int(parameter.high), log=parameter.log)
        return trial.suggest_float(key, parameter.low, parameter.high, log=parameter.log)

    def _parameters(self, point: Point) -> dict[str, Any]:
        """Settings as Optuna has them: a choice by its index, because its values may be of any type."""
        parameters = {}
        for key, value in self.space.settings(point).items():
            parameter = self.space.parameters[key]
            index = int(parameter.coordinate(value) * len(parameter.values)) if isinstance(parameter, Choice) else value
            parameters[key] = index
        return parameters

    def _learn(self, trial: Trial, value: float) -> None:
        self._study.tell(self._trials.pop(trial.number), value if math.isfinite(value) else math.inf)
