"""Rows of JSONL files, and checks of their values."""

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from trimtab.boundary import (
    StrictJsonError,
    WrittenFloat,
    json_type_name,
    open_regular,
    path_text,
    strict_json,
    user_path,
)
from trimtab.errors import DataError

LONGEST_LINE = 1 << 26
"""The most bytes of a line. Longer lines are bad rows, so that a file without line ends is not loaded as a whole."""


class BadRowError(ValueError):
    """A row that cannot become a problem; the message gives the reason."""


class LeftOutRowError(BadRowError):
    """A row that is sound and still cannot be used; it is left out whatever `on_bad_row` says, and counted by its `kind`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Row(NamedTuple):
    """A row of a source: its location, for messages, and its values, or the error in it."""

    where: str
    values: Mapping[str, Any] | BadRowError


def json_lines(path: str, *, key: str) -> Iterator[Row]:
    """Yields the rows of a JSONL file (UTF-8, one object per line), reading line by line and skipping blank lines.

    `key` is the parameter that names the file. A line that is not a valid JSON object becomes a row with a `BadRowError`. Raises
    `DataError` if the file is missing or cannot be read.
    """
    file_path = existing_file(path, key)
    try:
        with open_regular(file_path) as file:
            yield from json_lines_of(file, str(path_text(file_path)))
    except OSError as error:
        raise DataError(f"{path_text(file_path)} cannot be read ({error.strerror}). Check `{key}`.") from error


def json_lines_of(file: BinaryIO, name: str, skip: int = 0) -> Iterator[Row]:
    """Yields the rows of an open JSONL file from its current place, without the first `skip` ones, which are not parsed.

    See `json_lines`. `name` is the file in the locations of the rows.
    """
    number = rows = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        where = f"{name}, line {number}"
        too_long = len(line) > LONGEST_LINE
        while too_long and line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if too_long or line.strip():
            rows += 1
            if rows > skip:
                bad = BadRowError(f"it is longer than {LONGEST_LINE >> 20} MiB")
                yield Row(where, bad if too_long else _parsed(line))


def value_of(values: Mapping[str, Any], key: str) -> Any:
    """Returns the value of a key, or of a path of keys with dots (`answers.text`). Raises `BadRowError` if there is none."""
    if key in values:
        return values[key]
    value: Any = values
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            keys = ", ".join(repr(name) for name in list(values)[:8]) or "nothing"
            raise BadRowError(f"it has no {key!r}; it has {keys}")
        value = value[part]
    return value


def text_of(values: Mapping[str, Any], key: str) -> str:
    """Returns the text of a key; see `value_of` and `checked_text`."""
    return checked_text(value_of(values, key), repr(key))


def checked_text(value: Any, name: str, *, numbers: bool = False) -> str:
    """Returns `value` as text without white space around it; with `numbers`, numbers are accepted as written in the file.

    Raises `BadRowError` if the value is not text, empty, or not valid Unicode. `name` describes the value in the message.
    """
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        checked_number(value, name)
        value = value.written if isinstance(value, WrittenFloat) else str(value)
    if not isinstance(value, str):
        kinds = "text or a number" if numbers else "text"
        raise BadRowError(f"{name} is {json_type_name(value)} where {kinds} is needed")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadRowError(
                f"{name} is not valid Unicode: a lone surrogate (U+{ord(value[error.start]):04X}) at character {error.start}"
            ) from None
    value = value.strip()
    if not value:
        raise BadRowError(f"{name} is empty")
    return str(value)


def checked_number(value: Any, name: str) -> float:
    """Returns `value` as a finite number. Raises `BadRowError` for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRowError(f"{name} is {json_type_name(value)} where a number is needed")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number != 0:
        raise BadRowError(f"{name} is too large a number")
    return number


def question_key(text: str) -> str:
    """Returns a text with its white space and Unicode composition normalised: the identity of a question."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


def _parsed(line: bytes) -> Mapping[str, Any] | BadRowError:
    try:
        values = strict_json(line, one_line=True, as_written=True)
    except StrictJsonError as error:
        return BadRowError(str(error))
    return (
        values if isinstance(values, dict) else BadRowError(f"it is {json_type_name(values)} where an object is needed")
    )


def existing_file(text: str, key: str, expected: str = "a JSONL file, with one object per line,") -> Path:
    """Returns the path of an existing file, otherwise raises `DataError`. `expected` describes the file that `key` names."""
    path = user_path(text, key)
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "does not exist"
        absolute = f" (looked for {path_text(path.absolute())})" if not path.is_absolute() else ""
        raise DataError(f"The file '{text}' {problem}{absolute}. Name {expected} in `{key}`.")
    return path
