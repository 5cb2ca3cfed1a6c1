"""Turns errors into one line and an exit code."""

import errno
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
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
"""Parts of the messages that libraries raise when memory runs out."""


def run() -> None:
    """Run the command line and exit with its code. An unexpected error keeps its traceback.

    Raises `KeyboardInterrupt` for an interrupt that the command did not handle.
    """
    output.guard()
    try:
        from trimtab.boundary.own_code import allow_imports_from
        from trimtab.cli.commands import app

        with suppress(OSError):  # the folder may have been removed
            allow_imports_from([Path.cwd()])  # components of the user's own; nothing else is imported from there
        try:
            app()
        finally:
            output.finish()
    except SystemExit as error:
        if error.__context__ is not None and isinstance(error.__context__.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None  # typer makes an exit of it
        raise
    except TrimtabError as error:
        _leave(f"trimtab: {shortened(printable(error), _LONGEST)}", error.exit_code)
    except output.OutputLostError as error:
        _leave("" if error.reader_left else f"trimtab: {error}", 1)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        _leave(
            f"trimtab: There is not enough memory: {shortened(printable(error), 200)}. Close other programs, or raise the limit "
            "of this process (ulimit -v) if it has one. For a run, lower episode.batch_size, model.width or data.context; else "
            "use a smaller model or file.",
            1,
        )


def _is_out_of_memory(error: BaseException) -> bool:
    return any(
        isinstance(one, MemoryError)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        or any(words in str(one).lower() for words in _NO_MEMORY)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _leave(line: str, code: int) -> NoReturn:
    if line:
        output.say(line, err=True)
    sys.exit(code)
