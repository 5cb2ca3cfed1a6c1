"""The program `trimtab`: how it ends, with one line and an exit code. The commands are imported within it."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from trimtab.boundary import printable, shortened
from trimtab.cli import output
from trimtab.errors import TrimtabError

_LONGEST = 2000
"""Characters of an error that are printed."""

_NO_MEMORY = (
    "not enough memory",
    "allocate memory",
    "out of memory",
    "can't start new thread",
    "failed to map segment",
)
"""What libraries say when memory runs out, in errors of types of their own."""


def main() -> None:
    """Run the command line: 0 done, 1 the work failed, 2 the input was wrong, 130 interrupted (128 + the signal's number)."""
    interrupt = _Interrupt()
    output.guard()
    try:
        from trimtab.cli.commands import app
        from trimtab.config.own_code import search

        with suppress(OSError):  # the folder may have been removed
            search([Path.cwd()])  # components of the user's own; nothing else is imported from there
        try:
            app()
        finally:
            output.finish()
    except SystemExit as error:
        if _by_interrupt(error):
            _leave("Interrupted.", 130)
        raise
    except TrimtabError as error:
        _leave(f"trimtab: {shortened(printable(error), _LONGEST)}", error.exit_code)
    except output.OutputLostError as error:
        _leave("" if error.reader_left else f"trimtab: {error}", 1)
    except (KeyboardInterrupt, Exception) as error:
        # A library that is interrupted while it is imported may raise an error of its own instead.
        if interrupt.came:
            _leave("Interrupted.", 130)
        if not _is_out_of_memory(error):
            raise
        _leave(
            "trimtab: There is not enough memory for this. Close other programs, raise the limit (ulimit -v), or take a smaller "
            "model, batch or file.",
            1,
        )


class _Interrupt:
    """Notes that Ctrl-C was pressed, and raises KeyboardInterrupt as Python does."""

    def __init__(self) -> None:
        self.came = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is ignored in a background job
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


def _by_interrupt(error: SystemExit) -> bool:
    """Whether typer made this exit of an interrupt that no command had a word for."""
    return error.__context__ is not None and isinstance(error.__context__.__cause__, KeyboardInterrupt)


def _is_out_of_memory(error: BaseException) -> bool:
    return any(
        isinstance(one, MemoryError)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        or any(words in str(one).lower() for words in _NO_MEMORY)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _leave(line: str, code: int) -> NoReturn:
    if line:
        output.say(line, err=True)
    sys.exit(code)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # `python -m` put the working folder there
    main()
