"""The program `trimtab`. Everything else is imported inside it, so that Ctrl-C is handled from the first moment on."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def main() -> None:
    """Run the command line: 0 done, 1 the work failed, 2 the input was wrong, 130 interrupted (128 + the signal's number)."""
    interrupt = _Interrupt()
    try:
        from trimtab.cli.ending import run

        run()
    except (KeyboardInterrupt, Exception):
        # A library that is interrupted while it is imported may raise an error of its own instead.
        if not interrupt.came:
            raise
        with suppress(OSError):
            os.write(2, b"Interrupted.\n")
        sys.exit(130)


class _Interrupt:
    """Notes that Ctrl-C was pressed, and raises KeyboardInterrupt as Python does."""

    def __init__(self) -> None:
        self.came = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is ignored in a background job
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # `python -m` put the working folder there
    main()
