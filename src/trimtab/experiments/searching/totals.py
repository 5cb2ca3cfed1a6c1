"""What a search has cost and seen so far."""

import math
from dataclasses import dataclass, field

from trimtab.experiments.searching.values import Outcome
from trimtab.search.scheduler import Work


@dataclass
class Totals:
    """Counts over the results of a search. A repetition is work whose run had been made before, for another trial."""

    trials: set[int] = field(default_factory=set)
    runs: set[tuple[int, int]] = field(default_factory=set)
    """Trial and seed number of each run that was made."""
    diverged: set[tuple[int, int]] = field(default_factory=set)
    reached: dict[int, int] = field(default_factory=dict)
    """The last step of each trial that was not a repetition."""
    steps: int = 0
    tokens: int = 0
    best: list[tuple[float, float]] = field(default_factory=list)
    """The clock and the best value, after every result that changed it."""

    def count(self, work: Work, outcome: Outcome, end: int, *, repetition: bool) -> None:
        """Count a result; `end` is the step that the work was to reach."""
        self.trials.add(work.trial)
        self.steps += outcome.steps
        self.tokens += outcome.tokens
        if repetition:
            return
        self.runs.add((work.trial, work.seed))
        self.reached[work.trial] = max(self.reached.get(work.trial, 0), end)
        if outcome.status == "diverged":
            self.diverged.add((work.trial, work.seed))

    def see_best(self, clock: float, value: float) -> None:
        """Note the best value at a time of the clock."""
        if not self.best or self.best[-1][1] != value:
            self.best.append((clock, value))

    @property
    def compared(self) -> int:
        """The number of different trials among which the best was chosen: those that went furthest."""
        furthest = max(self.reached.values(), default=0)
        return sum(end == furthest for end in self.reached.values())

    def anytime(self, end: float) -> float:
        """The mean of the best value so far over the clock, from the first value to the end."""
        if not self.best:
            return math.nan
        times = [at for at, _ in self.best] + [end]
        if end <= times[0]:
            return self.best[-1][1]
        area = sum(value * (later - at) for (at, value), later in zip(self.best, times[1:], strict=True))
        return area / (end - times[0])
