"""Successive halving without waiting: short runs for all, longer ones for the best."""

import math
from typing import Annotated

from pydantic import Field

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.scheduler import Found, Scheduler, Work, described


class Rungs(Scheduler):
    """ASHA by promotion (Li et al. 2020): a run pauses at each step in `at`, and goes on if it is among the best there.

    At every free place the highest rung comes first: if its best ⌊n / `factor`⌋ of n runs include one that was not promoted
    yet, this one goes on to the next rung; otherwise a new trial starts. The optimiser receives the value at the first rung,
    where all trials are comparable. `steps` is the length of a whole run. The best is that of the highest rung that was
    reached.

    Raises `ValueError` for rungs that do not increase or are not below `steps`, and for a budget in which no run could reach
    the end.
    """

    name = "rungs"

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        steps: int,
        at: Annotated[
            tuple[int, ...], Field(description="the steps at which runs pause, ascending; the last rung is the end")
        ],
        factor: Annotated[int, Field(description="one in so many goes on to the next rung")] = 3,
    ) -> None:
        super().__init__(optimizer)
        levels = [*at, steps]
        if not at or levels[0] < 1 or any(low >= high for low, high in zip(levels, levels[1:], strict=False)):
            raise ValueError(
                f"at: the steps of the rungs must increase and be below the {steps} steps of a run, but they are {list(at)}"
            )
        if factor < 2:
            raise ValueError(f"factor: it must be at least 2, but it is {factor}")
        if optimizer.budget < factor ** len(at):
            raise ValueError(
                f"at: with {len(at)} rungs below the end and the factor {factor}, a run reaches the end in a search of at least "
                f"{factor ** len(at)} trials, but this one has {optimizer.budget}"
            )
        self.levels, self.factor, self.pauses = levels, factor, at
        self.values: list[dict[int, float]] = [{} for _ in levels]
        self._promoted: list[set[int]] = [set() for _ in levels]
        self._trials: dict[int, Trial] = {}

    def next(self) -> Work | None:
        """A promotion, or a new trial."""
        for rung in reversed(range(len(self.levels) - 1)):
            known = self.values[rung]
            ranked = sorted(known, key=lambda trial: (known[trial], trial))
            for trial in ranked[: len(known) // self.factor]:
                if trial not in self._promoted[rung] and math.isfinite(known[trial]):
                    self._promoted[rung].add(trial)
                    start, end = self.levels[rung], self.levels[rung + 1]
                    reason = f"trial {trial} goes on: among the best 1/{self.factor} of {len(known)} at step {start}"
                    return self._work(trial, self._trials[trial].settings, reason, start=start, end=end)
        if not self._more:
            return None
        new = self.optimizer.ask()
        self._trials[new.number] = new
        return self._work(new.number, new.settings, described(new.settings), end=self.levels[0])

    def _learn(self, work: Work, value: float) -> None:
        assert work.end is not None
        rung = self.levels.index(work.end)
        self.values[rung][work.trial] = value
        if rung == 0:
            self.optimizer.tell(self._trials[work.trial], value)

    @property
    def best(self) -> Found | None:
        """The best of the highest rung that was reached."""
        for known in reversed(self.values):
            if known:
                trial = min(known, key=lambda one: (known[one], one))
                settings = self._trials[trial].settings
                return Found(trial, settings, known[trial], 1, [(settings, None)])
        return None
