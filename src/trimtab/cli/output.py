"""Printing: control characters are escaped, and a stream that fails does not end a run."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO, cast

from trimtab.boundary import printable


class OutputLostError(Exception):
    """Standard output cannot be written, and the command is of no use without it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"standard output cannot be written: {_reason(cause)}.")
        self.reader_left = isinstance(cause, BrokenPipeError)
        """Whether the reader of a pipe has ended (`trimtab list | head`), which is not an error."""


class Stream(io.TextIOBase):
    """Standard output (`needed`) or standard error. After the first write that fails all further text is dropped.

    A failure of standard error is ignored. One of standard output is reported on standard error while work is done (`working`),
    and raises `OutputLostError` otherwise. The descriptor is then redirected to the null device, so that no later flush fails,
    not even the one when Python ends.
    """

    def __init__(self, stream: TextIO | None, descriptor: int, *, needed: bool) -> None:
        self.lost: Exception | None = None
        self.excused = False
        self.needed = self._announced = needed
        self._stream, self._descriptor = stream, descriptor
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character that the terminal lacks is written as an escape

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters that the encoding lacks are written."""
        return "backslashreplace"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of what is written."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def writable(self) -> bool:
        """Returns `True`."""
        return True

    def isatty(self) -> bool:
        """Returns `True` for a terminal."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Write `text`, or drop it where an earlier write failed."""
        if not isinstance(text, str):
            raise TypeError("a text stream takes text")  # click finds out by writing bytes and then an empty text
        if self.lost is None and text:
            try:
                if self._stream is None:
                    raise OSError(errno.EBADF, "it is closed")
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush the buffer."""
        if self.lost is None and self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        self.lost = error
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)
            os.close(null)
        if self.needed:
            raise OutputLostError(error)
        self.excused = True
        if self._announced:
            say(f"Standard output cannot be written ({_reason(error)}): the work continues without it.", err=True)


_OUT: list[Stream] = []
"""The guarded standard output of this process, once `guard` was called."""


def guard() -> None:
    """Replace standard output and standard error by a `Stream` each, for the life of the process."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get its number, and receive what is printed
            os.open(os.devnull, os.O_RDWR)
    _OUT.append(Stream(sys.stdout, 1, needed=True))
    sys.stdout, sys.stderr = cast(TextIO, _OUT[-1]), cast(TextIO, Stream(sys.stderr, 2, needed=False))


def finish() -> None:
    """Flush both streams. Raises `OutputLostError` where standard output failed and the command is of no use without it."""
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in _OUT:
        if stream.lost is not None and not stream.excused:
            raise OutputLostError(stream.lost)


@contextlib.contextmanager
def working() -> Iterator[None]:
    """For commands that write their results to files: a failure of standard output does not stop the work inside this context."""
    before = [stream.needed for stream in _OUT]
    for stream in _OUT:
        stream.needed = False
    try:
        yield
    finally:
        for stream, needed in zip(_OUT, before, strict=True):
            stream.flush()
            stream.needed = needed


def say(*lines: object, err: bool = False) -> None:
    """Print each argument as one line. Control and invisible characters in it, line ends and tabs too, are written as escapes.

    So no value can look like a line of its own.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        stream.write("".join(f"{printable(line)}\n" for line in lines))
        stream.flush()


def say_in_handler(text: str) -> None:
    """Print a line of its own on standard error; safe in a signal handler."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode())


def deliver(text: str) -> None:
    """Print the result of a command, JSON or generated text: unchanged in a pipe, escaped on a terminal.

    Raises `OutputLostError` where standard output has failed, also when it failed while work was done.
    """
    for stream in _OUT:
        stream.needed = True
        if stream.lost is not None:
            raise OutputLostError(stream.lost)
    if sys.stdout.isatty():
        text = printable(text, lines=True)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
