"""Following a file of rows while a run writes it: only what is new is read, and a file that was cut or replaced is noticed."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from trimtab.boundary import RECORD_LIMIT, open_regular

_ANCHOR = 4096
"""Bytes before the offset that are compared at each read. A row has the time of its step, so a few rows are never written twice
alike."""

CHUNK = 1 << 18
"""Bytes of one read."""


@dataclass
class Read:
    """What one read found: `rows` in order, after a `restart` those from the beginning of the file.

    `more` says that the file has further bytes; `damaged` counts the lines that are not JSON objects.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    restart: bool = False
    more: bool = False
    damaged: int = 0


class Tail:
    """Reads a JSONL file in pieces, from where the last piece ended.

    A resumed run cuts its files and writes them again, perhaps beyond the old length before the next read. So each read
    compares the inode, the length and the bytes before its offset, and starts again where one of them does not fit. A last line
    without its line end is left for the next read. Nothing is raised for a file that is missing or cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._inode: int | None = None
        self._anchor = b""
        self._seen: tuple[int, int] | None = None

    @property
    def offset(self) -> int:
        """Bytes of the lines read so far."""
        return self._offset

    def size(self) -> int:
        """Bytes of the file now; 0 where it is missing."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def read(self, limit: int = CHUNK) -> Read:
        """The next rows: about `limit` bytes of them, at least one line where a whole one is there."""
        try:
            status = self.path.stat()
        except OSError:
            return self._restarted() if self._offset else Read()
        now = (status.st_size, status.st_mtime_ns)
        if now == self._seen and status.st_ino == self._inode:
            return Read()
        try:
            with open_regular(self.path) as file:
                return self._read(file.fileno(), limit)
        except OSError:
            return Read()

    def _read(self, descriptor: int, limit: int) -> Read:
        status = os.fstat(descriptor)
        if self._inode not in (None, status.st_ino) or status.st_size < self._offset:
            return self._restarted()
        self._inode = status.st_ino
        start = self._offset - len(self._anchor)
        while True:
            block = os.pread(descriptor, len(self._anchor) + limit, start)
            if not block.startswith(self._anchor):
                return self._restarted()
            new = block[len(self._anchor) :]
            end = new.rfind(b"\n") + 1
            if end or len(new) < limit or limit > RECORD_LIMIT:
                break
            limit *= 4  # a line longer than the piece
        whole = new[:end]
        self._offset += end
        self._anchor = (self._anchor + whole)[-_ANCHOR:]
        more = end > 0 and self._offset < status.st_size
        self._seen = None if more else (status.st_size, status.st_mtime_ns)
        rows, damaged = parsed(whole)
        return Read(rows, more=more, damaged=damaged)

    def _restarted(self) -> Read:
        self._forget()
        return Read(restart=True, more=True)


def parsed(lines: bytes) -> tuple[list[dict[str, Any]], int]:
    """The rows of whole lines, and how many lines are no JSON object."""
    rows, damaged = [], 0
    for line in lines.split(b"\n"):
        if not line:
            continue
        try:
            row = from_json(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            damaged += 1
    return rows, damaged


def glimpse(path: str | Path, places: int = 300, tail: int = 1 << 17) -> list[dict[str, Any]]:
    """Rows from evenly spaced places of a long file, and all of its last `tail` bytes: an overview in a fraction of a second."""
    try:
        with open_regular(path) as file:
            descriptor = file.fileno()
            size = os.fstat(descriptor).st_size
            rows: list[dict[str, Any]] = []
            until = max(0, size - tail)
            for place in range(places):
                block = os.pread(descriptor, 16384, until * place // places)
                parts = block.split(b"\n")
                if place:
                    parts = parts[1:]
                rows += parsed(parts[0] if len(parts) > 1 else b"")[0]
            last = os.pread(descriptor, tail, until)
            return rows + parsed(last[last.find(b"\n") + 1 if until else 0 : last.rfind(b"\n") + 1])[0]
    except OSError:
        return []
