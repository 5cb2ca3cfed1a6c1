"""Turns signals into a request to stop: the step is finished and a checkpoint is written."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = {
    getattr(signal, name): words
    for name, words in (
        ("SIGINT", "Ctrl-C"),
        ("SIGTERM", "SIGTERM"),
        ("SIGHUP", "SIGHUP (the terminal was closed)"),
        ("SIGQUIT", "SIGQUIT"),
    )
    if hasattr(signal, name)  # Windows has the first two
}
_FROM_KEYBOARD = {getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)}


class StopOnSignal:
    """While open, SIGINT, SIGTERM, SIGHUP and SIGQUIT ask the run to stop.

    Until `arm` is called they raise KeyboardInterrupt: before a run begins there is nothing to save. From then on the first
    signal makes calls return a reason, and `announce` is called with a sentence about it. A second SIGINT or SIGQUIT raises
    KeyboardInterrupt; a second SIGTERM or SIGHUP changes nothing, since a shell and a terminal may both send one.
    A signal that the parent process set to be ignored (nohup, a background job of a script) stays ignored.

    Within another `StopOnSignal`, both receive the request.
    """

    def __init__(self, announce: Callable[[str], None] = lambda text: None) -> None:
        self.reason: str | None = None
        self.armed = False
        self.number: int = signal.SIGINT
        self._announce = announce
        self._previous: dict[int, Any] = {}

    def arm(self) -> None:
        """From now on the first signal lets the step end and a checkpoint be written."""
        self.armed = True

    def __call__(self) -> str | None:
        """The reason to stop, or None."""
        return self.reason

    @property
    def exit_code(self) -> int:
        """128 plus the number of the first signal, as a shell expects; 130 for Ctrl-C."""
        return 128 + int(self.number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.reason is not None
        self._note(number)
        if not self.armed or (again and number in _FROM_KEYBOARD):
            raise KeyboardInterrupt

    def _note(self, number: int) -> None:
        outer = getattr(self._previous.get(number), "__self__", None)
        if isinstance(outer, StopOnSignal):
            outer._note(number)
        if self.reason is None:
            self.reason, self.number = _NAMES[number], number
            if self.armed:
                self._announce(
                    f"{self.reason}: stopping after this step, with a checkpoint. Press Ctrl-C now to stop at once."
                )

    def __enter__(self) -> Self:
        for number in _NAMES:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
