"""Racing: a challenger meets the best so far on that one's own seeds."""

import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import Annotated

from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.scheduler import Found, Scheduler, Work, described


@dataclass
class Runner:
    """A trial, its values by seed number, and how many of its runs were given out."""

    trial: Trial
    values: dict[int, float] = field(default_factory=dict)
    given: int = 0

    def mean(self, runs: int) -> float:
        """The mean over the seed numbers 0 to `runs` − 1."""
        return fmean(self.values[seed] for seed in range(runs))


class Race(Scheduler):
    """Each new trial challenges the best so far on its seeds (as in FocusedILS, Hutter et al. 2009, and SMAC).

    Before a challenger, the incumbent gets one more run, until it has `seeds`. The challenger is run on the first seed and is
    out as soon as its mean is not below the incumbent's over the same seeds; otherwise its runs double. With as many runs as the
    incumbent it replaces it. So bad settings cost one run, and the incumbent was good on many seeds. The optimiser receives
    the mean over the runs that were made.
    """

    name = "race"

    def __init__(
        self, optimizer: Optimizer, *, seeds: Annotated[int, Field(description="the most runs of a trial")] = 8
    ) -> None:
        super().__init__(optimizer)
        if seeds < 2:
            raise ValueError(f"seeds: a race needs at least 2, but it is {seeds}")
        self.seeds = seeds
        self.incumbent: Runner | None = None
        self.challenger: Runner | None = None
        self._target = 0
        """The runs after which the challenger is compared next."""

    def next(self) -> Work | None:
        """The incumbent's further run, a run of the challenger, or a new challenger; None while a comparison waits for values."""
        if self.challenger is None:
            if self._pending or not self._more:
                return None
            trial = self.optimizer.ask()
            self.challenger, self._target = Runner(trial), 1
            incumbent = self.incumbent
            if incumbent is not None and incumbent.given < self.seeds:
                return self._run(incumbent, f"the incumbent, trial {incumbent.trial.number}, on one more seed")
        if self.challenger.given >= self._target:
            return None
        return self._run(self.challenger, described(self.challenger.trial.settings))

    def _run(self, runner: Runner, reason: str) -> Work:
        work = self._work(runner.trial.number, runner.trial.settings, reason, seed=runner.given)
        runner.given += 1
        return work

    def _learn(self, work: Work, value: float) -> None:
        challenger, incumbent = self.challenger, self.incumbent
        runner = incumbent if incumbent is not None and work.trial == incumbent.trial.number else challenger
        assert runner is not None
        runner.values[work.seed] = value
        if self._pending or challenger is None or len(challenger.values) < self._target:
            return
        runs = self._target
        mean = challenger.mean(runs)
        if incumbent is None:
            self._decide(replaces=math.isfinite(mean))
        elif not mean < incumbent.mean(runs):
            self._decide(replaces=False)
        elif runs == len(incumbent.values):
            self._decide(replaces=True)
        else:
            self._target = min(2 * runs, len(incumbent.values))

    def _decide(self, *, replaces: bool) -> None:
        challenger = self.challenger
        assert challenger is not None
        self.optimizer.tell(challenger.trial, challenger.mean(len(challenger.values)))
        if replaces:
            self.incumbent = challenger
        self.challenger = None

    @property
    def best(self) -> Found | None:
        """The incumbent."""
        if self.incumbent is None:
            return None
        trial, runs = self.incumbent.trial, len(self.incumbent.values)
        return Found(trial.number, trial.settings, self.incumbent.mean(runs), runs, [(trial.settings, None)])
