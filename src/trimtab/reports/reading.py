"""Reading the files of records, each checked against its schema."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from trimtab.boundary import printable, read_regular
from trimtab.errors import RunError
from trimtab.records.problems import problems_of
from trimtab.records.values import parse_json

FILE_LIMIT = 1 << 30
"""The most bytes of a JSON file: one holds the loss landscape or the geometry of all memories."""


_R = TypeVar("_R", bound=BaseModel)


def read_one(kind: type[_R], path: Path, of: str) -> _R:
    """The record in a JSON file. Raises `RunError` where it is damaged, or missing from the folder of `of` ("an experiment")."""
    record: _R = checked(TypeAdapter(kind), _content(path, of), path)
    return record


def read_list(kind: type[_R], path: Path, of: str) -> list[_R] | None:
    """The records in a JSON file that holds a list; None where there is no such file. Raises as `read_one`."""
    return checked(TypeAdapter(list[kind]), _content(path, of), path) if path.exists() else None  # type: ignore[valid-type]


def read_if_there(kind: type[_R], path: Path, of: str) -> _R | None:
    """As `read_one`, but None where there is no such file."""
    return read_one(kind, path, of) if path.exists() else None


def checked_rows(kind: type[_R], rows: Iterable[Any], path: Path) -> list[_R]:
    """The rows of a JSONL file, checked. Raises `RunError` with the line of a row that does not fit."""
    records = []
    for number, row in enumerate(rows, start=1):
        try:
            records.append(kind.model_validate(row))
        except ValidationError as error:
            raise RunError(
                f"{path} is damaged at line {number}: {problems_of(error)}. Restore it from a copy."
            ) from error
    return records


def checked(adapter: Any, raw: Any, path: Path) -> Any:
    """`raw`, read from `path`, as the adapter's type. Raises `RunError`."""
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {problems_of(error)}. Restore it from a copy.") from error


def _content(path: Path, of: str) -> Any:
    try:
        return parse_json(read_regular(path, at_most=FILE_LIMIT))
    except FileNotFoundError as error:
        raise RunError(f"There is no {path.name} in {path.parent}: it is not the folder of {of}.") from error
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {printable(error)}. Restore it from a copy.") from error
