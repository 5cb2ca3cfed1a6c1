"""How the trials of a search become work: whole runs, or parts of runs that depend on the values of others."""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.space import Settings


@dataclass(frozen=True, eq=False)
class Work:
    """A part of one run: the run of a trial with its seed number `seed`, from step `start` to step `end` (None: to its last
    step).

    Seeds are counted from 0. `parent` is the trial whose run, with the same seed number, this run is forked from at `start`;
    without one the run is new or continues. `reason` says in words why this is the next work.
    """

    number: int
    trial: int
    settings: Settings
    seed: int = 0
    start: int = 0
    end: int | None = None
    parent: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Found:
    """The best of a search: `value` is the mean over the runs with the seed numbers 0 to `runs` − 1.

    `lineage` is how it was trained: settings, and the step until which they were used (None: the last step). Only a
    population has more than one part.
    """

    trial: int
    settings: Settings
    value: float
    runs: int
    lineage: Sequence[tuple[Settings, int | None]]


class Scheduler(ABC):
    """Decides what to run next. `next` gives work and `tell` takes its value, of which a small one is good.

    `next` may be called while other work is pending; it returns None where it has to wait for values, and when nothing is
    left. The same calls with the same values give the same work. A value that is not finite is worse than any other.

    `seeds` is the most runs of one trial, and `pauses` are the steps at which runs pause. A subclass has a `name`, `next`,
    `_learn` and `best`.
    """

    name: str
    seeds: int = 1
    pauses: Sequence[int] = ()

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._works = 0
        self._pending: dict[int, Work] = {}

    @abstractmethod
    def next(self) -> Work | None:
        """The next work; None if there is none now."""

    def tell(self, work: Work, value: float) -> None:
        """The value of pending work. Raises `ValueError` for any other."""
        own = self._pending.pop(work.number, None)
        if own is None:
            raise ValueError(f"work {work.number} is not pending: it has its value already, or it was never given out")
        self._learn(own, float(value) if math.isfinite(value) else math.inf)

    @property
    @abstractmethod
    def best(self) -> Found | None:
        """The best so far; None before the first value."""

    @property
    def undecided(self) -> Collection[int]:
        """Trials that have a value and may still become the best, so that their weights must be kept."""
        return self.optimizer.pending

    @abstractmethod
    def _learn(self, work: Work, value: float) -> None:
        """Take a value, which may be infinite."""

    @property
    def _more(self) -> bool:
        """Whether the optimiser has trials left."""
        return self.optimizer.asked < self.optimizer.budget

    def _work(
        self,
        trial: int,
        settings: Settings,
        reason: str,
        *,
        seed: int = 0,
        start: int = 0,
        end: int | None = None,
        parent: int | None = None,
    ) -> Work:
        work = Work(self._works, trial, settings, seed, start, end, parent, reason)
        self._works += 1
        self._pending[work.number] = work
        return work


class Whole(Scheduler):
    """Every trial is run to its end, with the seed numbers 0 to `seeds` − 1. Its value is the mean."""

    name = "whole"

    def __init__(
        self, optimizer: Optimizer, *, seeds: Annotated[int, Field(description="runs of each trial")] = 1
    ) -> None:
        super().__init__(optimizer)
        if seeds < 1:
            raise ValueError(f"seeds: a trial needs at least 1, but it is {seeds}")
        self.seeds = seeds
        self._waiting: deque[tuple[Trial, int]] = deque()
        self._values: dict[int, list[float]] = {}
        self._trials: dict[int, Trial] = {}

    def next(self) -> Work | None:
        """The next seed of the last trial, or a new trial."""
        if not self._waiting:
            if not self._more:
                return None
            trial = self.optimizer.ask()
            self._trials[trial.number] = trial
            self._waiting.extend((trial, seed) for seed in range(self.seeds))
        trial, seed = self._waiting.popleft()
        return self._work(trial.number, trial.settings, described(trial.settings), seed=seed)

    def _learn(self, work: Work, value: float) -> None:
        values = self._values.setdefault(work.trial, [])
        values.append(value)
        if len(values) == self.seeds:
            self.optimizer.tell(self._trials.pop(work.trial), fmean(values))
            del self._values[work.trial]

    @property
    def best(self) -> Found | None:
        """The trial with the lowest mean."""
        if self.optimizer.best is None:
            return None
        trial, value = self.optimizer.best
        return Found(trial.number, trial.settings, value, self.seeds, [(trial.settings, None)])


def described(settings: Mapping[str, object]) -> str:
    """Settings in words, each key by its last part, or by the one before `name`."""
    return ", ".join(
        f"{key.removesuffix('.name').rpartition('.')[2]} {_shown(value)}" for key, value in settings.items()
    )


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)
