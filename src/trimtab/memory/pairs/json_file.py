"""Whole JSON files: reading them, and the objects inside them with the place of each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trimtab.data.files import shown
from trimtab.data.tasks.files import DECODER, BadRowError, Row, existing_file, kind_of, value_of
from trimtab.errors import DataError


def json_content(place: Path) -> Any:
    """What a JSON file (UTF-8) holds.

    Raises `BadRowError` where it is no valid JSON, with line and column, and `DataError` where it cannot be read.
    """
    try:
        content = place.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(f"{shown(place)} cannot be read ({error.strerror}). Check `pairs.path`.") from error
    try:
        return DECODER.decode(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadRowError(
            f"byte {error.start} of it (0x{error.object[error.start]:02x}, in line {line}) is not UTF-8 ({error.reason})"
        ) from error
    except json.JSONDecodeError as error:
        raise BadRowError(f"it is not valid JSON ({error.msg}, line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise BadRowError("it is nested too deeply") from error
    except BadRowError:
        raise
    except ValueError as error:  # Python refuses to read a whole number of more than 4,300 digits
        raise BadRowError("a number in it is too large") from error


def json_list(path: str, under: str | None, wanted: str) -> Iterator[Row]:
    """The objects of a JSON file's list, which stands under the key `under`, or is the file's whole content (None).

    An item that is no object is a row with its `BadRowError`. Raises `DataError` where there is no such list; `wanted` says
    what the file should be, as in "SQuAD's JSON file".
    """
    place = existing_file(path, "pairs.path", f"{wanted},")
    try:
        content = json_content(place)
        if under is not None:
            if not isinstance(content, dict):
                raise BadRowError(f"it is {kind_of(content)} where an object with {under!r} is needed")
            content = value_of(content, under)
        if not isinstance(content, list):
            name = "it" if under is None else repr(under)
            raise BadRowError(f"{name} is {kind_of(content)} where a list is needed")
    except BadRowError as error:
        raise DataError(
            f"{shown(place)}: {error}. Name {wanted}, in `pairs.path`; a file with an object a line is read by the source "
            "`jsonl`."
        ) from error
    return _objects(content, f"{shown(place)}: {under or ''}")


def objects_under(row: Row, key: str) -> Iterator[Row]:
    """The objects of the list under a key of a row, each with its place: `data[3].paragraphs[0]`.

    What is no list, and an item that is no object, is a row with its `BadRowError`; so is a row that had one before.
    """
    where, values = row
    if isinstance(values, BadRowError):
        yield row
        return
    try:
        found = value_of(values, key)
    except BadRowError as error:
        yield Row(where, error)
        return
    if isinstance(found, list):
        yield from _objects(found, f"{where}.{key}")
    else:
        yield Row(f"{where}.{key}", BadRowError(f"it is {kind_of(found)} where a list is needed"))


def _objects(items: list[Any], where: str) -> Iterator[Row]:
    for index, item in enumerate(items):
        good = isinstance(item, dict)
        yield Row(
            f"{where}[{index}]", item if good else BadRowError(f"it is {kind_of(item)} where an object is needed")
        )
