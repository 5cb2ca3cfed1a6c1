"""The rows of CSV and JSON files, with their values as written; no library guesses types."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from trimtab.boundary import (
    StrictJsonError,
    json_items,
    json_type_name,
    line_fault,
    open_regular,
    path_text,
    printable,
    shortened,
    table_fault,
)
from trimtab.data.tasks.files import LONGEST_LINE, BadRowError, Row, json_lines
from trimtab.errors import DataError

TABLES = (".csv", ".tsv")
JSON = (".json", ".jsonl", ".ndjson")
TYPED = (".parquet", ".arrow")
"""Formats that contain the type of each column; the `datasets` library reads them."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_UNSUPPORTED = (
    "column_names",
    "comment",
    "doublequote",
    "encoding",
    "escapechar",
    "header",
    "lineterminator",
    "names",
    "nrows",
    "quotechar",
    "quoting",
    "skipfooter",
    "skipinitialspace",
    "skiprows",
)
"""Settings of a data set that change which rows or cells the `datasets` library reads from a text file."""

_SUPPORTED_VALUES: dict[str, tuple[Any, ...]] = {
    "encoding": ("utf-8", "utf8", "utf-8-sig", "UTF-8", "UTF8"),
    "header": (0,),
    "skiprows": (0, []),
    "lineterminator": ("\n",),
}


def text_format(config: Any, card: str) -> tuple[str | None, str | None]:
    """Returns the separator of tables and the key of the list in a JSON file, from the config of a data set's builder.

    `card` is the file with that config. Raises DataError for invalid settings, and for those with which the library would read
    other rows or cells than `text_rows` does.
    """
    separator = getattr(config, "sep", None)
    if hasattr(config, "sep") and not (isinstance(separator, str) and len(separator) == 1 and separator not in '\r\n"'):
        key = "sep" if config.delimiter is None else "delimiter"
        shown = f"'{shortened(printable(separator), 40)}'" if isinstance(separator, str) else json_type_name(separator)
        raise DataError(
            f"{card}: `{key}` is {shown} where one character is needed, the separator of the cells of a table. Write it in "
            "quotes, for example ','."
        )
    under = getattr(config, "field", None)
    if not isinstance(under, str | None):
        raise DataError(
            f"{card}: `field` is {json_type_name(under)} where text is needed, the key of the list of rows in a JSON file. "
            "Write it in quotes, or leave it out if the file is that list."
        )
    for key in _UNSUPPORTED:
        value = getattr(config, key, None)
        if value not in (getattr(type(config), key, None), *_SUPPORTED_VALUES.get(key, ())):
            raise DataError(
                f"{card} sets `{key}`, which is not supported: text files are UTF-8, and a table has one header line, one row "
                'per line, and cells quoted with ". Convert the file, and leave the setting out.'
            )
    return separator, under


def text_rows(
    files: Sequence[Path],
    *,
    separator: str | None = None,
    under: str | None = None,
    numbers: Sequence[str] = (),
    optional: str | None = None,
    columns: Sequence[str] = (),
) -> Iterator[Row]:
    """Yields the rows of CSV, TSV and JSON files, one file after the other; the values of a table are the texts of its cells.

    `separator` separates the cells of tables (always a tab in `.tsv` files), and `under` is the key of the list in a JSON file
    that is an object. Cells in the columns `numbers` become numbers where possible, and an empty cell in the column `optional`
    becomes a missing value. `columns` are names that a table should have. Raises DataError for a file of another kind and for one
    that cannot be read.
    """
    for file in files:
        kind = file.suffix.lower()
        if kind in TABLES:
            for row in _table(file, "\t" if kind == ".tsv" else separator or ",", columns):
                yield _with_numbers(row, numbers, optional)
        elif kind in JSON:
            yield from _json(file, under)
        else:
            raise DataError(
                f"{path_text(file)} has an unsupported format: a data folder contains {', '.join([*TABLES, *JSON, *TYPED])} "
                "files. Unpack or convert it."
            )


def _table(file: Path, separator: str, columns: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_LINE)
    try:
        with open_regular(file) as opened:
            fault = table_fault(opened.read(1 << 16), separator, columns)
            if fault is not None:
                raise DataError(f"{path_text(file)}: {fault}")
            opened.seek(0)
            # A byte that is not UTF-8 becomes a lone surrogate, so that the error can name its row.
            text = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(text, delimiter=separator, strict=True)
            header = _header(file, next(reader, []))
            while (row := _next(reader, header, path_text(file), separator)) is not None:
                if row.values:
                    yield row
    except OSError as error:
        raise _unreadable(file, error) from error
    except csv.Error as error:
        raise DataError(f"{path_text(file)}: the header is not a line of CSV ({error}). Correct it.") from error


def _header(file: Path, cells: list[str]) -> list[str]:
    if not cells:
        raise DataError(f"{path_text(file)} has no header; the first line of a table must name its columns. Add one.")
    repeated = sorted({cell for cell in cells if cells.count(cell) > 1}) if len(cells) < 10_000 else cells[:1]
    if repeated:
        raise DataError(
            f"{path_text(file)} has the column {repeated[0]!r} more than once. Give each column a unique name."
        )
    return cells


def _next(reader: Any, header: list[str], name: str, separator: str) -> Row | None:
    """The next row of a table, None at its end; a blank line is a row without values."""
    try:
        cells: list[str] = next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        return Row(f"{name}, line {reader.line_num}", BadRowError(f"it is not a line of CSV ({error})"))
    where = f"{name}, line {reader.line_num}"
    if not cells:
        return Row(where, {})
    if len(cells) != len(header):
        hint = line_fault(cells, len(header), separator).rstrip(".")
        return Row(
            where,
            BadRowError(f"it has {len(cells)} cells, but the header has {len(header)} columns{hint and f'.{hint}'}"),
        )
    if (escaped := re.search(r"[\udc80-\udcff]", "".join(cells))) is not None:
        return Row(where, BadRowError(f"it has the byte 0x{ord(escaped[0]) & 0xFF:02x}, which is not UTF-8"))
    return Row(where, dict(zip(header, cells, strict=True)))


def _with_numbers(row: Row, numbers: Sequence[str], optional: str | None) -> Row:
    if isinstance(row.values, BadRowError):
        return row
    values = {key: value for key, value in row.values.items() if key != optional or value}
    return Row(row.where, {**values, **{key: _number(values[key]) for key in numbers if key in values}})


def _number(text: str) -> int | float | str:
    """The number in a cell; other text is returned unchanged, and the reader of the row refuses it."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _json(file: Path, under: str | None) -> Iterator[Row]:
    try:
        with open_regular(file) as opened:
            is_list = under is not None or _first(opened) == b"["
            if is_list:
                opened.seek(0)
                for index, item in enumerate(json_items(opened, under, as_written=True)):
                    where = f"{path_text(file)}, item {index}"
                    error = BadRowError(f"it is {json_type_name(item)} where an object is needed")
                    yield Row(where, item if isinstance(item, dict) else error)
    except OSError as error:
        raise _unreadable(file, error) from error
    except StrictJsonError as error:
        raise DataError(f"{path_text(file)}: {error}. Correct the file.") from error
    if not is_list:
        yield from json_lines(str(file), key="data.task.path")


def _first(file: BinaryIO) -> bytes:
    """The first byte of a file, ignoring white space and a byte order mark."""
    return file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _unreadable(file: Path, error: OSError) -> DataError:
    return DataError(f"{path_text(file)} cannot be read ({error.strerror}). Check `data.task.path`.")
