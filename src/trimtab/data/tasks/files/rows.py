"""The rows of files of JSON lines, and checks of the values in them."""

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trimtab.boundary import StrictJsonError, WrittenFloat, kind_of, open_regular, strict_json, user_path
from trimtab.data.files import shown
from trimtab.errors import DataError

LONGEST_LINE = 1 << 26
"""Bytes of a line from which on it is a bad row: a file that is no JSON lines would otherwise be read whole."""


class BadRowError(ValueError):
    """A row that no problem can be made of; the message says why."""


class Row(NamedTuple):
    """A row of a source: where it stands, for people, and its values, or what is wrong with it."""

    where: str
    values: Mapping[str, Any] | BadRowError


def json_lines(path: str, *, key: str) -> Iterator[Row]:
    """The rows of a JSONL file (UTF-8, an object a line), read line by line; blank lines are passed over.

    `key` is the parameter that names the file. A line that is no object of valid JSON is a row with its `BadRowError`.
    Raises `DataError` for a file that is missing or cannot be read.
    """
    place = existing_file(path, key)
    try:
        with open_regular(place) as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                where = f"{shown(place)}, line {number}"
                if len(line) > LONGEST_LINE:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LONGEST_LINE)
                    yield Row(where, BadRowError(f"it is longer than {LONGEST_LINE >> 20} MiB"))
                    continue
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield Row(where, _parsed(line))
    except OSError as error:
        raise DataError(f"{shown(place)} cannot be read ({error.strerror}). Check `{key}`.") from error


def value_of(values: Mapping[str, Any], key: str) -> Any:
    """What stands under a key, or under a path of keys with dots (`answers.text`). Raises `BadRowError` where nothing does."""
    if key in values:
        return values[key]
    here: Any = values
    for part in key.split("."):
        if not isinstance(here, Mapping) or part not in here:
            keys = ", ".join(repr(name) for name in list(values)[:8]) or "nothing"
            raise BadRowError(f"it has no {key!r}; it has {keys}")
        here = here[part]
    return here


def text_of(values: Mapping[str, Any], key: str) -> str:
    """The text under a key; see `value_of` and `checked_text`."""
    return checked_text(value_of(values, key), repr(key))


def checked_text(value: Any, name: str, *, numbers: bool = False) -> str:
    """`value` as text, stripped of white space around it; with `numbers` a number is one too, as its file writes it.

    Raises `BadRowError` for what is no text, empty, or no valid Unicode. `name` says what it is.
    """
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        checked_number(value, name)
        value = value.written if isinstance(value, WrittenFloat) else str(value)
    if not isinstance(value, str):
        kinds = "text or a number" if numbers else "text"
        raise BadRowError(f"{name} is {kind_of(value)} where {kinds} is needed")
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
    """`value` as a finite number. Raises `BadRowError` for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRowError(f"{name} is {kind_of(value)} where a number is needed")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number != 0:
        raise BadRowError(f"{name} is too large a number")
    return number


def question_key(text: str) -> str:
    """What is the same for two questions that differ in white space and Unicode composition only."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


def _parsed(line: bytes) -> Mapping[str, Any] | BadRowError:
    try:
        values = strict_json(line, one_line=True, as_written=True)
    except StrictJsonError as error:
        return BadRowError(str(error))
    return values if isinstance(values, dict) else BadRowError(f"it is {kind_of(values)} where an object is needed")


def existing_file(text: str, key: str, wanted: str = "a JSONL file, an object a line,") -> Path:
    """The path of a file that is there; raises `DataError` otherwise. `wanted` says what `key` is to name."""
    place = user_path(text, key)
    if not place.is_file():
        what = "is not a regular file" if place.exists() else "does not exist"
        looked = f" (looked for {shown(place.absolute())})" if not place.is_absolute() else ""
        raise DataError(f"The file '{text}' {what}{looked}. Name {wanted} in `{key}`.")
    return place
