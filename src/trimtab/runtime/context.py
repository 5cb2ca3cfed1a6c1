"""What the caller of a run passes to it, whatever kind of run it is."""

from collections.abc import Callable
from dataclasses import dataclass

from trimtab.runtime.events import OnEvent, RunEvent


@dataclass(frozen=True)
class RunContext:
    """A consumer of the run's events, a function that gives a reason to stop, and the command line for the manifest.

    `stop` is called between steps; if it returns a reason, the run writes a checkpoint and ends. `gates` says whether a run may
    stop early because its results are below the thresholds of its own config: an experiment compares such runs and does not stop
    them. `until` is a step after which a training run pauses: it writes a checkpoint and ends as interrupted, to be resumed.
    """

    events: OnEvent | None = None
    stop: Callable[[], str | None] = lambda: None
    command: tuple[str, ...] = ()
    gates: bool = True
    until: int | None = None

    def emit(self, event: RunEvent) -> None:
        """Pass a rare event on.

        For frequent events, check that `events` is not None before building one, so that no event is built without a consumer.
        """
        if self.events is not None:
            self.events(event)


DEFAULT_CONTEXT = RunContext()
