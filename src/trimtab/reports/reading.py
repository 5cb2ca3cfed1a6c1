"""Files of records, each checked before a report uses it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from trimtab.errors import RunError
from trimtab.records.values import from_json


class Read(BaseModel):
    """A part of a record; fields that it does not name are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True)


_R = TypeVar("_R", bound=Read)


def read_one(kind: type[_R], path: Path, of: str) -> _R:
    """A JSON file as `kind`, "nan" and its like as floats. Raises `RunError` where it is damaged, or missing: it belongs
    in every folder of `of` ("an experiment").
    """
    found: _R = checked(TypeAdapter(kind), _content(path, of), path)
    return found


def read_list(kind: type[_R], path: Path, of: str) -> list[_R] | None:
    """A JSON file as a list of `kind`; None where there is no such file. Raises as `read_one`."""
    return checked(TypeAdapter(list[kind]), _content(path, of), path) if path.exists() else None  # type: ignore[valid-type]


def read_if_there(kind: type[_R], path: Path, of: str) -> _R | None:
    """As `read_one`; None where there is no such file."""
    return read_one(kind, path, of) if path.exists() else None


def checked_rows(kind: type[_R], rows: Iterable[Any], path: Path) -> list[_R]:
    """The rows of a JSONL file as `kind`. Raises `RunError`, with the line, for one that is not."""
    found = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(kind.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            told = f"{where}: {first['msg'].lower()}"
            raise RunError(f"{path} is damaged at line {number}: {told}. Restore it from a copy.") from error
    return found


def checked(adapter: Any, raw: Any, path: Path) -> Any:
    """`raw`, read from `path`, as the adapter's type. Raises `RunError`."""
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'it'}: {p['msg'].lower()}" for p in error.errors()[:3])
        raise RunError(f"{path} is damaged: {problems}. Restore it from a copy.") from error


def _content(path: Path, of: str) -> Any:
    try:
        return from_json(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise RunError(f"There is no {path.name} in {path.parent}: it is not the folder of {of}.") from error
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}. Restore it from a copy.") from error
