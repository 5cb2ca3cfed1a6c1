"""Leaving the terminal as it was, whatever ends the screen."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_RESET = (
    "".join(f"\x1b[?{mode}l" for mode in (1000, 1002, 1003, 1006, 1015, 1016, 2004, 1004))
    + "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m"
)
"""Mouse reports, pasting in brackets, focus reports and the key protocol off; the main screen and the cursor on."""


@contextmanager
def restored(end: Callable[[], None]) -> Iterator[None]:
    """Keep the terminal's settings for after the block; SIGTERM and SIGHUP call `end`, which should end the block.

    The settings are also restored when the block raises. A second signal ends the process at once, the terminal restored.
    """
    descriptor, before = _settings()
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if came:
            _restore(descriptor, before)
            os._exit(128 + number)
        came.append(number)
        end()

    previous: dict[int, Any] = {}
    for number in (int(signal.SIGTERM), int(signal.SIGHUP)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _restore(descriptor, before)
    if came:
        sys.exit(128 + came[0])


def _settings() -> tuple[int | None, Any]:
    import termios

    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        try:
            descriptor = stream.fileno() if stream is not None else -1
            return descriptor, termios.tcgetattr(descriptor)
        except (OSError, ValueError, termios.error):
            continue
    return None, None


def _restore(descriptor: int | None, before: Any) -> None:
    import termios

    if descriptor is None:
        return
    try:
        os.write(descriptor, _RESET.encode())
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
    except (OSError, termios.error):
        return  # the terminal is gone
