"""A search on a table of recorded runs, without files: to train policies, and to try optimisers."""

from dataclasses import dataclass

import numpy as np

from trimtab.search.clock import VirtualClock
from trimtab.search.scheduler import Found, Scheduler, Work
from trimtab.search.table import RecordedSpace, Table


@dataclass(frozen=True)
class Replayed:
    """The result of a search on a table: its best, how good that really is, and the steps used."""

    found: Found | None
    truth: float
    steps: float


class Recordings:
    """The values of a table, small ones good."""

    def __init__(self, table: Table) -> None:
        self.table, self.space = table, RecordedSpace(table)
        sign = -1.0 if table.higher_is_better else 1.0
        self.values = sign * np.array([[run.values for run in row.runs] for row in table.rows])
        self._places = {step: place for place, step in enumerate(table.steps)}

    def value(self, work: Work, order: np.ndarray) -> float:
        """The value of some work; `order` says which of the table's seeds the seed numbers are."""
        place = -1 if work.end is None else self._places[work.end]
        return float(self.values[self.space.row(work.settings), order[work.seed], place])

    def truth(self, order: np.ndarray, used: int) -> np.ndarray:
        """How good each setting really is: the mean of its whole runs with the seeds after the first `used` in an order."""
        result: np.ndarray = self.values[:, order[used:], -1].mean(axis=1)
        return result

    def cost(self, work: Work) -> float:
        """The steps of some work."""
        return (self.table.steps[-1] if work.end is None else work.end) - work.start


def replay(scheduler: Scheduler, recordings: Recordings, order: np.ndarray) -> Replayed:
    """Run a whole search on a table. The seeds that the scheduler does not use show how good its best really is."""
    clock = VirtualClock(scheduler, cost=recordings.cost)
    while clock.start() or clock.pending:
        clock.end(recordings.value(clock.next.work, order))
    best = scheduler.best
    truth = recordings.truth(order, scheduler.seeds)
    own = float("nan") if best is None else float(truth[recordings.space.row(best.settings)])
    return Replayed(best, own, clock.now)
