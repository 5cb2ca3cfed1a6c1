"""Whole JSON files: reading them, and the objects inside them with the place of each."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trimtab.boundary import StrictJsonError, json_items, kind_of, open_regular, read_regular, strict_json
from trimtab.data.files import shown
from trimtab.data.tasks.files import BadRowError, Row, existing_file, value_of
from trimtab.errors import DataError

LARGEST_DOCUMENT = 1 << 28
"""Bytes of a JSON file that is read whole. ARC-AGI's largest file has 4 MB; long lists are read item by item, at any length."""


def json_content(place: Path) -> Any:
    """What a JSON file (UTF-8) of at most `LARGEST_DOCUMENT` bytes holds.

    Raises `BadRowError` where it is no valid JSON, with line and column, and `DataError` where it cannot be read.
    """
    try:
        return strict_json(read_regular(place, at_most=LARGEST_DOCUMENT), as_written=True)
    except OSError as error:
        raise _unreadable(place, error) from error
    except StrictJsonError as error:
        raise BadRowError(str(error)) from error


def json_list(path: str, under: str | None, wanted: str) -> Iterator[Row]:
    """The objects of a JSON file's list, which stands under the key `under`, or is the file's whole content (None).

    They are read one at a time. An item that is no object is a row with its `BadRowError`. Raises `DataError` where there is
    no such list and, at its place, where the file is no valid JSON; `wanted` says what the file should be, as in "SQuAD's
    JSON file".
    """
    place = existing_file(path, "pairs.path", f"{wanted},")
    try:
        with open_regular(place) as file:
            yield from _objects(json_items(file, under, as_written=True), f"{shown(place)}: {under or ''}")
    except OSError as error:
        raise _unreadable(place, error) from error
    except StrictJsonError as error:
        raise DataError(
            f"{shown(place)}: {error}. Name {wanted}, in `pairs.path`; a file with an object a line is read by the source "
            "`jsonl`."
        ) from error


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


def _objects(items: Iterable[Any], where: str) -> Iterator[Row]:
    for index, item in enumerate(items):
        good = isinstance(item, dict)
        yield Row(
            f"{where}[{index}]", item if good else BadRowError(f"it is {kind_of(item)} where an object is needed")
        )


def _unreadable(place: Path, error: OSError) -> DataError:
    return DataError(f"{shown(place)} cannot be read ({error.strerror}). Check `pairs.path`.")
