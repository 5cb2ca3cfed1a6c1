"""Rows of JSONL, JSON and Parquet files."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trimtab.boundary import StrictJsonError, foreign, json_items, json_type_name, open_regular, path_text
from trimtab.data.tasks.files import BadRowError, Row, existing_file, json_lines
from trimtab.errors import ConfigError, DataError

_EXPECTED = "a file of rows (.jsonl, .json or .parquet)"


def file_rows(path: str, *, key: str) -> Iterator[Row]:
    """Yields the rows of a file: JSONL, a JSON list of objects, or Parquet (by the suffix .parquet).

    A file that begins with `[` is a JSON list, any other text is JSONL. `key` is the parameter that names the file. A row that
    is not an object has a `BadRowError` as its value. Raises `DataError` for a file that is missing or cannot be read, and
    `ConfigError` for Parquet without pyarrow.
    """
    file = existing_file(path, key, _EXPECTED)
    if file.suffix == ".parquet":
        return _parquet(file)
    try:
        with open_regular(file) as opened:
            start = opened.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise DataError(f"{path_text(file)} cannot be read ({error.strerror}). Check `{key}`.") from error
    return _json(file, key) if start.startswith(b"[") else json_lines(path, key=key)


def _json(file: Path, key: str) -> Iterator[Row]:
    try:
        with open_regular(file) as opened:
            for number, item in enumerate(json_items(opened, None), 1):
                where = f"{path_text(file)}, row {number}"
                if isinstance(item, dict):
                    yield Row(where, item)
                else:
                    yield Row(where, BadRowError(f"it is {json_type_name(item)} where an object is needed"))
    except OSError as error:
        raise DataError(f"{path_text(file)} cannot be read ({error.strerror}). Check `{key}`.") from error
    except StrictJsonError as error:
        raise DataError(f"{path_text(file)} is not valid JSON: {error}. Correct the file, or name another.") from error


def _parquet(file: Path) -> Iterator[Row]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path_text(file)} is a Parquet file, which needs pyarrow. Install it: pip install 'trimtab[tasks]'."
        ) from error

    def message(reason: str) -> str:
        return f"{path_text(file)} cannot be read as Parquet: {reason}. Copy the file again."

    number = 0
    with foreign(DataError, message):
        table = parquet.ParquetFile(str(file))
        count = table.num_row_groups
    for group in range(count):
        with foreign(DataError, message):
            values = table.read_row_group(group).to_pylist()
        for row in values:
            number += 1
            yield Row(f"{path_text(file)}, row {number}", row)
