"""Population-based training."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.scheduler import Found, Scheduler, Work, described
from trimtab.search.space import Choice, Number, Settings


@dataclass
class Member:
    """A run of the population: its trial, the settings in force, its last value, and how it was trained so far."""

    trial: int
    settings: Settings
    lineage: list[tuple[Settings, int | None]]
    parent: int | None = None
    value: float = math.inf


class Population(Scheduler):
    """Population-based training (Jaderberg et al. 2017): runs train together, and the worst become forks of the best.

    The budget of the optimiser is the size of the population, and its trials are the first settings. After every `every`
    steps the worst `share` of the members are replaced: each is a fork of a random member of the best `share`, with other
    settings. A number is multiplied by 1.2 or 0.8 and clipped to its bounds; with probability `resample` a key is drawn anew
    instead. A choice changes only by that. A member without a finite value is replaced as well. `steps` is the length of a
    run.

    Raises `ValueError` for fewer than 4 members, and for `every` that does not divide `steps`.
    """

    name = "population"

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        steps: int,
        every: Annotated[int, Field(description="steps between replacements; divides the length of a run")],
        share: Annotated[float, Field(description="share of the members that is replaced")] = 0.25,
        resample: Annotated[float, Field(description="probability that a fork's key is drawn anew")] = 0.25,
    ) -> None:
        super().__init__(optimizer)
        if optimizer.budget < 4:
            raise ValueError(f"a population needs at least 4 members (trials), but it has {optimizer.budget}")
        if not 1 <= every < steps or steps % every:
            raise ValueError(f"every: it must divide the {steps} steps of a run and be less, but it is {every}")
        if not 0 < share <= 0.5:
            raise ValueError(f"share: it must be above 0 and at most 0.5, but it is {share}")
        if not 0 <= resample <= 1:
            raise ValueError(f"resample: it must be from 0 to 1, but it is {resample}")
        self.steps, self.every, self.share, self.resample = steps, every, share, resample
        self.pauses = range(every, steps, every)
        self.members: list[Member] = []
        self.step = 0
        self._best: Found | None = None
        self._given = 0
        self._known = 0
        self._trials: dict[int, Trial] = {}
        self._next_trial = optimizer.budget

    def next(self) -> Work | None:
        """The next member of this round; None until all of a round are known."""
        if self.step >= self.steps or self._given == self.optimizer.budget:
            return None
        if self.step == 0:
            trial = self.optimizer.ask()
            self._trials[trial.number] = trial
            self.members.append(Member(trial.number, trial.settings, [(trial.settings, None)]))
        member = self.members[self._given]
        self._given += 1
        new = self.step == 0 or member.parent is not None
        reason = described(member.settings) if new else f"trial {member.trial} goes on"
        if member.parent is not None:
            reason = f"a fork of trial {member.parent} at step {self.step}: {reason}"
        end = self.step + self.every
        return self._work(member.trial, member.settings, reason, start=self.step, end=end, parent=member.parent)

    def _learn(self, work: Work, value: float) -> None:
        member = next(one for one in self.members if one.trial == work.trial)
        member.value, member.parent = value, None
        if self.step == 0:
            self.optimizer.tell(self._trials[work.trial], value)
        self._known += 1
        if self._known == len(self.members) == self.optimizer.budget:
            self._best = self._best_now()
            self._known = self._given = 0
            self.step += self.every
            if self.step < self.steps:
                self._replace()

    def _replace(self) -> None:
        """Replace the worst members by forks of the best."""
        ranked = sorted(range(len(self.members)), key=lambda place: (self.members[place].value, place))
        count = max(1, int(self.share * len(ranked)))
        sources = [self.members[place] for place in ranked[:count] if math.isfinite(self.members[place].value)]
        if not sources:
            return
        bad = [place for place in ranked[:-count] if not math.isfinite(self.members[place].value)]
        for place in [*bad, *ranked[-count:]]:
            random = self.optimizer.generator("population", self._next_trial)
            source = sources[random.integers(len(sources))]
            settings = self.explored(source.settings, random)
            lineage = [*source.lineage[:-1], (source.lineage[-1][0], self.step), (settings, None)]
            self.members[place] = Member(self._next_trial, settings, lineage, source.trial)
            self._next_trial += 1
        # Forks first: a source must not go on before its forks have its state.
        self.members.sort(key=lambda member: (member.parent is None, member.trial))

    def explored(self, settings: Settings, random: np.random.Generator) -> Settings:
        """Other settings near these. Keys that the new ones make void are left out; keys that they bring into use are drawn."""
        changed: Settings = {}
        for key, parameter in self.optimizer.space.parameters.items():
            anew, up, drawn = random.random(3)
            if not self.optimizer.space.used(key, changed):
                continue
            if key not in settings or anew < self.resample:
                changed[key] = parameter.value(drawn)
            elif isinstance(parameter, Choice):
                changed[key] = settings[key]
            else:
                changed[key] = _moved(parameter, settings[key], up=up < 0.5)
        return changed

    @property
    def undecided(self) -> Collection[int]:
        """The members, until the last round is complete."""
        return [] if self.step >= self.steps else [member.trial for member in self.members]

    @property
    def best(self) -> Found | None:
        """The best member after the last complete round."""
        return self._best

    def _best_now(self) -> Found | None:
        known = [one for one in self.members if math.isfinite(one.value)]
        if not known:
            return None
        member = min(known, key=lambda one: (one.value, one.trial))
        return Found(member.trial, member.settings, member.value, 1, member.lineage)


def _moved(parameter: Number, value: float, *, up: bool) -> float | int:
    """A number times 1.2 or 0.8, within its bounds; a whole one moves by at least 1, and 0 by a tenth of its scale."""
    moved = value * (1.2 if up else 0.8)
    if parameter.whole:
        moved = value + (max(1, math.floor(moved - value + 0.5)) if up else min(-1, math.ceil(moved - value - 0.5)))
    elif value == 0:
        return parameter.value(min(max(parameter.coordinate(0.0) + (0.1 if up else -0.1), 0.0), 1.0))
    return parameter.value(parameter.coordinate(min(max(moved, parameter.low), parameter.high)))
