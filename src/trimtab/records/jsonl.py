"""Append-only JSONL: one JSON object per line, whole lines only."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from trimtab.boundary import RECORD_LIMIT, TooLargeError, open_regular, open_to_write, printable
from trimtab.errors import RunError
from trimtab.records.failures import write_failure
from trimtab.records.hashing import Seal
from trimtab.records.problems import problems_of
from trimtab.records.rows import Row
from trimtab.records.values import parse_json, to_json

FILE_LIMIT = 4 << 30
"""Bytes that a file of rows may have; a line may have `RECORD_LIMIT`."""


def encode_row(row: Mapping[str, Any]) -> bytes:
    """`row` as one line of strict JSON: floats in full precision (`repr`), non-finite ones as "nan", "inf", "-inf"."""
    plain = to_json(row)
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8; as an escape it survives
        return json.dumps(plain, allow_nan=False, separators=(", ", ": ")).encode() + b"\n"


class JsonlWriter:
    """Appends rows to a file, each by one write of the whole line, so a kill leaves at most one half line, the last.

    Opening a file that ends in a half line cuts it off; `dropped` says how many bytes that were. Raises WorkError when
    the disk takes no more: the half-written line is cut back first, so the file stays sound and the writer usable.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.dropped = 0
        try:
            self._descriptor = open_to_write(self.path, "append")
            size = os.fstat(self._descriptor).st_size
            self._offset = _end_of_last_line(self._descriptor, size)
            if self._offset < size:
                os.ftruncate(self._descriptor, self._offset)
                self.dropped = size - self._offset
            self._digest = _digest(self._descriptor, self._offset)
        except OSError as error:
            raise write_failure(self.path, error) from error

    def write(self, row: Mapping[str, Any]) -> None:
        """Append `row`; it is with the operating system (safe from a kill, not from a power cut) when this returns."""
        line = encode_row(row)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._cut_back()
            raise write_failure(self.path, error) from error
        self._offset += len(line)
        self._digest.update(line)

    def flush(self, sync: bool = False) -> None:
        """With `sync`, wait until the rows are on the disk (safe from a power cut). Without, there is nothing to wait for."""
        if sync:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                raise write_failure(self.path, error) from error

    def offset(self) -> int:
        """Bytes of whole lines in the file; durable after `flush(sync=True)`. What `truncate` takes on resume."""
        return self._offset

    def seal(self) -> Seal:
        """The length and the hash of the whole lines so far; durable after `flush(sync=True)`."""
        return Seal(bytes=self._offset, sha256=self._digest.hexdigest())

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._offset)
        except OSError:
            return  # the half line stays; readers and the next writer drop it, and the write's own error is raised

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class HalfLine:
    """A last line without its line end: what a kill in mid-write leaves."""

    path: Path
    number: int
    size: int


class JsonlReader:
    """Iterates over the rows of a file.

    With a schema (`kind`) each row is checked and its numbers are floats, "nan", "inf" and "-inf" among them; without one the
    values are those of the JSON. A line counts when its line end is there; a last line without one is left out and reported
    as `half_line` once iteration is through. Raises RunError, with file and line number, for a malformed line anywhere else
    and for a row that does not fit the schema, and for a file that cannot be read.
    """

    def __init__(self, path: str | Path, kind: type[Row] | None = None) -> None:
        self.path = Path(path)
        self.kind = kind
        self.half_line: HalfLine | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.half_line = None
        try:
            with open_regular(self.path) as file:
                _check_size(file.fileno(), self.path)
                for number, line in enumerate(iter(lambda: file.readline(RECORD_LIMIT + 1), b""), start=1):
                    if not line.endswith(b"\n"):
                        if len(line) > RECORD_LIMIT:
                            raise _too_long(self.path, f"line {number}")
                        self.half_line = HalfLine(self.path, number, len(line))
                        return
                    row = _parse(self.path, number, line)
                    yield row if self.kind is None else _values(self.kind, row, self.path, number)
        except OSError as error:
            raise RunError(f"Cannot read {self.path}: {error.strerror or error}.") from error


def read_rows(path: str | Path, kind: type[Row] | None = None) -> list[dict[str, Any]]:
    """All rows of a file (see `JsonlReader`), a half-written last line left out."""
    return list(JsonlReader(path, kind))


def last_row(path: str | Path) -> dict[str, Any] | None:
    """The last whole row of a file as JSON, read from its end; None where there is none. Raises RunError as the reader does."""
    path = Path(path)
    try:
        with open_regular(path) as file:
            size = _check_size(file.fileno(), path)
            end = _end_of_last_line(file.fileno(), size)
            if end == 0:
                return None
            start = _end_of_last_line(file.fileno(), end - 1)
            if end - start > RECORD_LIMIT:
                raise _too_long(path, "its last line")
            line = os.pread(file.fileno(), end - start, start)
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error
    return _parse(path, None, line)


def truncate(path: str | Path, offset: int) -> int:
    """Cut a file back to `offset` bytes, fsynced, and return how many bytes went.

    Raises RunError when the file is shorter than `offset` or `offset` is not the end of a line (the file is then not
    the one that the offset was taken from), WorkError when the disk refuses.
    """
    path = Path(path)
    try:
        with os.fdopen(open_to_write(path, "update"), "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if not 0 <= offset <= size or _end_of_last_line(file.fileno(), offset) != offset:
                raise RunError(
                    f"{path} does not fit its checkpoint: the checkpoint was taken when the file had {offset} bytes of "
                    f"whole lines, now it has {size} bytes and no line ends there. The file was changed or damaged; "
                    "restore it from a copy or resume from another checkpoint."
                )
            file.truncate(offset)
            os.fsync(file.fileno())
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the run directory is damaged. Restore the file from a copy.") from error
    except OSError as error:
        raise write_failure(path, error) from error
    return size - offset


def _parse(path: Path, number: int | None, line: bytes) -> dict[str, Any]:
    try:
        row = parse_json(line)
        if isinstance(row, dict):
            return row
        problem = f"a JSON {type(row).__name__}, not an object"
    except ValueError as error:
        problem = printable(error)
    where = "its last line" if number is None else f"line {number}"
    raise RunError(
        f"{path} is damaged at {where}: {problem}. Found: {line[:60]!r}. "
        "Restore the file from a copy, or remove that line if you know its content."
    )


def _too_long(path: Path, where: str) -> RunError:
    return RunError(
        f"{path} is damaged at {where}: the line has more than {RECORD_LIMIT:,} bytes. Restore the file from a copy."
    )


def _check_size(descriptor: int, path: Path) -> int:
    size = os.fstat(descriptor).st_size
    if size > FILE_LIMIT:
        raise TooLargeError(errno.EFBIG, f"it has {size:,} bytes, and a file of rows at most {FILE_LIMIT:,}", str(path))
    return size


def _digest(descriptor: int, length: int) -> "hashlib._Hash":
    digest, at = hashlib.sha256(), 0
    while at < length:
        block = os.pread(descriptor, min(1 << 20, length - at), at)
        digest.update(block)
        at += len(block)
    return digest


def _end_of_last_line(descriptor: int, before: int) -> int:
    """The offset just after the last line end in the first `before` bytes; 0 where there is none."""
    block = 1 << 16
    while before > 0:
        start = max(0, before - block)
        last = os.pread(descriptor, before - start, start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
        before = start
    return 0


def _values(kind: type[Row], row: dict[str, Any], path: Path, number: int) -> dict[str, Any]:
    try:
        return kind.values(row)
    except ValidationError as error:
        raise RunError(f"{path} is damaged at line {number}: {problems_of(error)}. Restore it from a copy.") from error
