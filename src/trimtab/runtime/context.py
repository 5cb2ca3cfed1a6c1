"""What whoever starts a run passes along, whatever kind of run it is."""

from collections.abc import Callable
from dataclasses import dataclass

from trimtab.runtime.logger import Display

Progress = Callable[[str, int, int], None]
"""Called as `progress(stage, bytes done, bytes in all)` while files are read and encoded."""


@dataclass(frozen=True)
class RunContext:
    """A display, a callback for the progress of reading files, a function that gives a reason to stop, the command line.

    `gates` says whether a run may stop early because its results are below
    the thresholds of its own config; an experiment compares such runs and does not stop them.
    """

    display: Display | None = None
    progress: Progress | None = None
    stop: Callable[[], str | None] = lambda: None
    command: tuple[str, ...] = ()
    gates: bool = True


DEFAULT_CONTEXT = RunContext()
