"""A virtual clock: several trials at a time, in an order that does not depend on how long they really take."""

from collections.abc import Callable
from dataclasses import dataclass

from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.space import Settings


@dataclass(frozen=True)
class Pending:
    """A trial that was started; `start` and `end` are times of the virtual clock."""

    trial: Trial
    start: float
    end: float


class VirtualClock:
    """Fixes the order in which an optimiser gives trials and receives their values.

    `parallel` trials are pending at a time. `cost` gives the duration of a trial, planned from its settings alone, such as its
    number of steps; 1 by default. The trial that ends first on this clock (the one with the lower number, if two end together)
    is the next whose value the optimiser receives, even if another trial finishes earlier in real time. So one worker, many
    workers and many machines make the same search.

        while clock.start() or clock.pending:
            clock.end(value_of(clock.next.trial))

    `start` returns the trials that can begin now, for workers to begin with.
    """

    def __init__(
        self, optimizer: Optimizer, *, parallel: int = 1, cost: Callable[[Settings], float] = lambda settings: 1.0
    ) -> None:
        if parallel < 1:
            raise ValueError(f"parallel: it must be at least 1, but it is {parallel}")
        self.optimizer, self.parallel, self.cost = optimizer, parallel, cost
        self.now = 0.0
        self.pending: dict[int, Pending] = {}

    def start(self) -> list[Pending]:
        """Ask for trials until `parallel` are pending or the budget is used up; returns the new ones."""
        started = []
        while len(self.pending) < self.parallel and self.optimizer.asked < self.optimizer.budget:
            trial = self.optimizer.ask()
            cost = float(self.cost(trial.settings))
            if not 0 < cost < float("inf"):
                raise ValueError(f"the planned cost of a trial must be above 0 and finite, but it is {cost}")
            started.append(Pending(trial, self.now, self.now + cost))
            self.pending[trial.number] = started[-1]
        return started

    @property
    def next(self) -> Pending:
        """The pending trial that ends first. Raises `ValueError` if none is pending."""
        if not self.pending:
            raise ValueError("no trial is pending")
        return min(self.pending.values(), key=lambda one: (one.end, one.trial.number))

    def end(self, value: float) -> Pending:
        """Tell the value of the pending trial that ends first, and set the clock to its end."""
        ended = self.next
        del self.pending[ended.trial.number]
        self.now = ended.end
        self.optimizer.tell(ended.trial, value)
        return ended
