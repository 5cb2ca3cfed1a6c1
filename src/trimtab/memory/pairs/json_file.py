"""JSON files: reading whole documents, and the objects in their lists one by one, with the place of each."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trimtab.boundary import (
    StrictJsonError,
    json_items,
    json_type_name,
    open_regular,
    path_text,
    read_regular,
    strict_json,
)
from trimtab.data.tasks.files import BadRowError, Row, existing_file, value_of
from trimtab.errors import DataError

LARGEST_DOCUMENT = 1 << 28
"""The most bytes of a JSON file that is read whole (ARC-AGI's largest has 4 MB); lists read item by item have no limit."""


def json_content(place: Path) -> Any:
    """The content of a JSON file (UTF-8) of at most `LARGEST_DOCUMENT` bytes.

    Raises `BadRowError` with line and column for invalid JSON, and `DataError` if the file cannot be read.
    """
    try:
        return strict_json(read_regular(place, at_most=LARGEST_DOCUMENT), as_written=True)
    except OSError as error:
        raise _unreadable(place, error) from error
    except StrictJsonError as error:
        raise BadRowError(str(error)) from error


def json_list(path: str, under: str | None, expected: str) -> Iterator[Row]:
    """The objects of the list under the key `under` of a JSON file, or of the file itself (None), read one at a time.

    An item that is not an object becomes a row with a `BadRowError`. Raises `DataError` if there is no such list or the file is
    not valid JSON. `expected` says in messages what the file should be, as in "SQuAD's JSON file".
    """
    place = existing_file(path, "pairs.path", f"{expected},")
    try:
        with open_regular(place) as file:
            yield from _objects(json_items(file, under, as_written=True), f"{path_text(place)}: {under or ''}")
    except OSError as error:
        raise _unreadable(place, error) from error
    except StrictJsonError as error:
        raise DataError(
            f"{path_text(place)}: {error}. Name {expected}, in `pairs.path`; for a file with one object per line use the source "
            "`jsonl`."
        ) from error


def objects_under(row: Row, key: str) -> Iterator[Row]:
    """The objects of the list under a key of a row, each with its place, such as `data[3].paragraphs[0]`.

    A value that is not a list, and an item that is not an object, become rows with a `BadRowError`. A row that has one already is
    passed on.
    """
    where, values = row
    if isinstance(values, BadRowError):
        yield row
        return
    try:
        listed = value_of(values, key)
    except BadRowError as error:
        yield Row(where, error)
        return
    if isinstance(listed, list):
        yield from _objects(listed, f"{where}.{key}")
    else:
        yield Row(f"{where}.{key}", BadRowError(f"it is {json_type_name(listed)} where a list is needed"))


def _objects(items: Iterable[Any], where: str) -> Iterator[Row]:
    for index, item in enumerate(items):
        good = isinstance(item, dict)
        yield Row(
            f"{where}[{index}]",
            item if good else BadRowError(f"it is {json_type_name(item)} where an object is needed"),
        )


def _unreadable(place: Path, error: OSError) -> DataError:
    return DataError(f"{path_text(place)} cannot be read ({error.strerror}). Check `pairs.path`.")
