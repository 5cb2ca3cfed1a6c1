"""A virtual clock: several runs at a time, in an order that does not depend on how long they really take."""

from collections.abc import Callable
from dataclasses import dataclass

from trimtab.search.scheduler import Scheduler, Work


@dataclass(frozen=True)
class Pending:
    """Work that was started; `start` and `end` are times of the virtual clock."""

    work: Work
    start: float
    end: float


class VirtualClock:
    """Fixes the order in which a scheduler gives work and receives values.

    `parallel` runs are pending at a time. `cost` gives the planned duration of work, such as its number of steps; 1 by
    default. The work that ends first on this clock (that with the lower number, if two end together) is the next whose value
    the scheduler receives, even if other work finishes earlier in real time. So one worker, many workers and many machines
    make the same search.

        while clock.start() or clock.pending:
            clock.end(value_of(clock.next.work))

    `start` returns the work that can begin now, for workers to begin with.
    """

    def __init__(
        self, scheduler: Scheduler, *, parallel: int = 1, cost: Callable[[Work], float] = lambda work: 1.0
    ) -> None:
        if parallel < 1:
            raise ValueError(f"parallel: it must be at least 1, but it is {parallel}")
        self.scheduler, self.parallel, self.cost = scheduler, parallel, cost
        self.now = 0.0
        self.pending: dict[int, Pending] = {}

    def start(self) -> list[Pending]:
        """Ask for work until `parallel` runs are pending or there is none now; returns the new ones."""
        started = []
        while len(self.pending) < self.parallel and (work := self.scheduler.next()) is not None:
            cost = float(self.cost(work))
            if not 0 < cost < float("inf"):
                raise ValueError(f"the planned cost of a run must be above 0 and finite, but it is {cost}")
            started.append(Pending(work, self.now, self.now + cost))
            self.pending[work.number] = started[-1]
        return started

    @property
    def next(self) -> Pending:
        """The pending work that ends first. Raises `ValueError` if none is pending."""
        if not self.pending:
            raise ValueError("nothing is pending")
        return min(self.pending.values(), key=lambda one: (one.end, one.work.number))

    def end(self, value: float) -> Pending:
        """Tell the value of the pending work that ends first, and set the clock to its end."""
        ended = self.next
        del self.pending[ended.work.number]
        self.now = ended.end
        self.scheduler.tell(ended.work, value)
        return ended
