"""What the policies share: the settings tried so far, what is believed about all others, and the kinds of decisions."""

import math
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median, pvariance
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from trimtab.search.optimizer import Optimizer, reflected
from trimtab.search.policies.posterior import Belief, Points, Posterior, bounded
from trimtab.search.scheduler import Found, Scheduler, Work, described
from trimtab.search.space import Point, Settings, Space

Kind = Literal["explore", "near", "replicate", "promote"]
"""A new setting anywhere; one near the best; another seed of a setting; the rest of a paused run."""

KINDS: tuple[Kind, ...] = ("explore", "near", "replicate", "promote")

Pause = Annotated[
    int | None, Field(description="the step at which the first run of a setting pauses; null: it is run to its end")
]
Seeds = Annotated[int, Field(description="the most seeds of a setting")]
WORDS: dict[Kind, str] = {"explore": "anywhere", "near": "near the best"}
"""The reasons for new settings."""
_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
_TRIES = 20
"""Points of which the first with a setting that was not tried is taken."""


@dataclass
class Tried:
    """A setting, and its values: of whole runs by seed number, and at the pause of its first run."""

    trial: int
    settings: Settings
    point: Point
    values: dict[int, float] = field(default_factory=dict)
    paused: float | None = None
    given: int = 1
    """Seeds that were given out."""
    waiting: int = 1
    """Runs whose value is not known yet."""
    whole: bool = False
    """Whether the end of its first run was given out."""

    @property
    def mean(self) -> float:
        """The mean of the whole runs."""
        return fmean(self.values[seed] for seed in sorted(self.values))


@dataclass(frozen=True)
class Decision:
    """A new setting at a point, or a further run of one that was tried, with the reason in words."""

    kind: Kind
    reason: str
    point: Point | None = None
    tried: Tried | None = None


class Beliefs:
    """What the values so far say: about the settings in `known`, which have a value, and about all others."""

    def __init__(self, space: Space, known: list[Tried]) -> None:
        self.space, self.known = space, known
        self._points = np.stack([one.point for one in known])

    @cached_property
    def posterior(self) -> Posterior:
        """The belief about all settings. A value at a pause counts with the median change of the runs that went on."""
        change, doubt = self.change
        means = [
            one.mean if one.values else paused + change for one, paused in zip(self.known, self._paused, strict=True)
        ]
        extra = [0.0 if one.values else doubt for one in self.known]
        counts = [max(len(one.values), 1) for one in self.known]
        return Posterior(self._points, np.array(means), np.array(counts, float), np.array(extra), self.space.choices)

    @cached_property
    def _paused(self) -> list[float]:
        """The value of each setting at the pause, those far above the median lowered; NaN without one."""
        there = [place for place, one in enumerate(self.known) if one.paused is not None]
        values = [math.nan] * len(self.known)
        if there:
            lowered = bounded(np.array([self.known[place].paused for place in there], float))
            for place, value in zip(there, lowered.tolist(), strict=True):
                values[place] = value
        return values

    @cached_property
    def change(self) -> tuple[float, float]:
        """By how much values change from the pause to the end, the median, and the variance of that; robust to single runs."""
        changes = [one.values[0] - one.paused for one in self.known if one.paused is not None and 0 in one.values]
        changes = [change for change in changes if math.isfinite(change)]
        middle = median(changes) if changes else 0.0
        if len(changes) > 2:
            return middle, (_SIGMA * median(abs(change - middle) for change in changes)) ** 2
        paused = [value for value in self._paused if math.isfinite(value)]
        return middle, pvariance(paused) if paused else 0.0

    @cached_property
    def own(self) -> Belief:
        """The belief about the settings in `known`."""
        return self.posterior.at(self._points)

    @cached_property
    def best(self) -> int | None:
        """The place in `known` of the best: the lowest mean among settings with a whole run."""
        whole = [
            place for place, one in enumerate(self.known) if one.values and all(map(math.isfinite, one.values.values()))
        ]
        return min(whole, key=lambda place: float(self.own.mean[place])) if whole else None

    @cached_property
    def leading(self) -> int:
        """The place in `known` with the lowest mean, paused runs included."""
        return int(np.argmin(self.own.mean))


@dataclass(frozen=True)
class State:
    """What a policy decides by: beliefs, the kinds that fit into the rest of the budget, its share, and the settings so far."""

    beliefs: Beliefs
    possible: frozenset[Kind]
    left: float
    number: int
    replicable: list[int]
    """The places in `known` of settings that may be run with another seed."""
    promotable: list[int]
    """The places in `known` of paused runs."""

    def anywhere(self, count: int, random: np.random.Generator) -> Points:
        """Uniform points."""
        space = self.beliefs.space
        return space.canonical(random.random((count, len(space))))

    def neighbours(self, count: int, random: np.random.Generator, widths: Sequence[float] = (0.15, 0.05)) -> Points:
        """Points near the leading setting, with steps of these standard deviations in turn; choices are drawn anew as rarely."""
        space = self.beliefs.space
        centre = self.beliefs.known[self.beliefs.leading].point
        width = np.resize(np.array(widths), (count, 1))
        shape = (count, len(space))
        numbers = reflected(centre + width * random.standard_normal(shape))
        anew = random.random(shape) < np.maximum(width, 0.5 / len(space))
        drawn = random.random(shape)
        return space.canonical(np.where(space.choices, np.where(anew, drawn, centre), numbers))


class Policy(Scheduler):
    """Decides after each value what to run next. The budget is that of `trials` whole runs, in steps.

    The settings in the optimiser's `initial` come first; then `_decide` chooses. The optimiser must be `random`, because a policy
    chooses all settings itself. The best is the setting with the lowest mean of the belief among those with a whole run.

    Raises `ValueError` for another optimiser, a pause that is not below the end, and fewer than 1 seed.
    """

    def __init__(self, optimizer: Optimizer, *, steps: int, pause: int | None, seeds: int) -> None:
        super().__init__(optimizer)
        if optimizer.name != "random":
            raise ValueError(f"the policy '{self.name}' chooses the settings itself; set optimizer.name to random")
        if pause is not None and not 1 <= pause < steps:
            raise ValueError(f"pause: it must be from 1 to {steps - 1}, but it is {pause}")
        if seeds < 1:
            raise ValueError(f"seeds: it must be at least 1, but it is {seeds}")
        self.steps, self.pause, self.seeds = steps, pause, seeds
        self.pauses = () if pause is None else (pause,)
        self.tried: dict[int, Tried] = {}
        self._budget = optimizer.budget * steps
        self._left = self._budget
        self._beliefs: Beliefs | None = None
        self._best: Found | None = None

    def next(self) -> Work | None:
        """The work that the policy decides on; None where it has to wait, and when no work fits into the rest of the budget."""
        initial = self.optimizer.initial
        if len(self.tried) < len(initial):
            if self._left < self._first_end:
                return None
            return self._new(initial[len(self.tried)], None)
        possible = self._possible()
        if not possible:
            return None
        random = self.optimizer.generator(self.name, self._works)
        if self._beliefs is None:
            return self._new(random.random(len(self.optimizer.space)), None)
        decision = self._decide(self._state(self._beliefs, possible), random)
        if decision.tried is None:
            assert decision.point is not None
            return self._new(decision.point, decision.reason)
        return self._further(decision.tried, decision.kind, decision.reason)

    @property
    def _first_end(self) -> int:
        return self.steps if self.pause is None else self.pause

    def cost(self, kind: Kind) -> int:
        """The steps that work of a kind takes."""
        return {"replicate": self.steps, "promote": self.steps - self._first_end}.get(kind, self._first_end)

    def _state(self, beliefs: Beliefs, possible: frozenset[Kind]) -> State:
        replicable = [place for place, one in enumerate(beliefs.known) if self._replicable(one)]
        promotable = [place for place, one in enumerate(beliefs.known) if self._promotable(one)]
        return State(beliefs, possible, self._left / self._budget, len(self.tried), replicable, promotable)

    def _possible(self) -> frozenset[Kind]:
        tried = self.tried.values()
        there = {
            "explore": True,
            "near": self._beliefs is not None,
            "replicate": any(map(self._replicable, tried)),
            "promote": any(map(self._promotable, tried)),
        }
        # Some run must reach the end.
        kept = 0 if any(one.whole for one in tried) else self.steps - self._first_end
        return frozenset(
            kind for kind in KINDS if there[kind] and self._left >= self.cost(kind) + (0 if kind == "promote" else kept)
        )

    def _replicable(self, one: Tried) -> bool:
        finite = bool(one.values) and all(map(math.isfinite, one.values.values()))
        return finite and one.given < self.seeds and not one.waiting

    def _promotable(self, one: Tried) -> bool:
        return one.paused is not None and math.isfinite(one.paused) and not one.whole

    @abstractmethod
    def _decide(self, state: State, random: np.random.Generator) -> Decision:
        """The decision, of a kind that is possible in a state with at least one value."""

    def fresh(self, points: Points) -> int | None:
        """The place of the first of some points whose settings were not tried; None without one among the first."""
        tried = [one.settings for one in self.tried.values()]
        places = range(min(len(points), _TRIES))
        return next((place for place in places if self.optimizer.space.settings(points[place]) not in tried), None)

    def _new(self, point: Point, reason: str | None) -> Work:
        settings = self.optimizer.space.settings(point)
        trial = len(self.tried)
        self.tried[trial] = Tried(trial, settings, self.optimizer.space.point(settings), whole=self.pause is None)
        self._left -= self._first_end
        words = described(settings) if reason is None else f"{reason}: {described(settings)}"
        return self._work(trial, settings, words, end=self.pause)

    def _further(self, tried: Tried, kind: Kind, reason: str) -> Work:
        tried.waiting += 1
        if kind == "promote":
            assert self.pause is not None
            tried.whole = True
            self._left -= self.steps - self.pause
            return self._work(tried.trial, tried.settings, reason, start=self.pause)
        seed = tried.given
        tried.given += 1
        self._left -= self.steps
        return self._work(tried.trial, tried.settings, reason, seed=seed)

    def _learn(self, work: Work, value: float) -> None:
        tried = self.tried[work.trial]
        tried.waiting -= 1
        if work.end is None:
            tried.values[work.seed] = value
        else:
            tried.paused = value
        known = [one for one in self.tried.values() if one.values or one.paused is not None]
        self._beliefs = Beliefs(self.optimizer.space, known)
        self._best = _found(self._beliefs)

    @property
    def best(self) -> Found | None:
        """The setting with the lowest mean of the belief; its value is the mean of its own runs."""
        return self._best

    @property
    def undecided(self) -> Collection[int]:
        """Every trial that has a value, because a new one may change which is believed to be the best."""
        return [one.trial for one in self.tried.values()] if self._pending or self._possible() else []


def _found(beliefs: Beliefs) -> Found | None:
    if beliefs.best is None:
        return None
    one = beliefs.known[beliefs.best]
    runs = next(n for n in range(len(one.values) + 1) if n not in one.values)
    value = fmean(one.values[seed] for seed in range(runs))
    return Found(one.trial, one.settings, value, runs, [(one.settings, None)])


def further(state: State, place: int, kind: Kind) -> Decision:
    """The decision to run a setting further."""
    one = state.beliefs.known[place]
    words = f"trial {one.trial} goes on" if kind == "promote" else f"trial {one.trial} with seed number {one.given}"
    return Decision(kind, words, tried=one)
