"""The rows of a data set's CSV and JSON files as they are written: no library guesses what a text might mean."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from trimtab.boundary import (
    StrictJsonError,
    json_items,
    kind_of,
    line_fault,
    open_regular,
    printable,
    shortened,
    table_fault,
)
from trimtab.data.files import shown
from trimtab.data.tasks.files import LONGEST_LINE, BadRowError, Row, json_lines
from trimtab.errors import DataError

TABLES = (".csv", ".tsv")
JSON = (".json", ".jsonl", ".ndjson")
TYPED = (".parquet", ".arrow")
"""Formats that hold the type of each column, which the `datasets` library reads."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_OTHER_READING = (
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
"""Settings of a data set by which the `datasets` library reads other rows or cells from a text file."""

_SAME_READING: dict[str, tuple[Any, ...]] = {
    "encoding": ("utf-8", "utf8", "utf-8-sig", "UTF-8", "UTF8"),
    "header": (0,),
    "skiprows": (0, []),
    "lineterminator": ("\n",),
}


def text_format(config: Any, card: str) -> tuple[str | None, str | None]:
    """The separator of tables and the key of the list in a JSON file that the config of a data set's builder has.

    `card` names the file that the config is from. Raises DataError for settings that are no such thing, and for those by which
    the library would read other rows or cells than `text_rows` does.
    """
    separator = getattr(config, "sep", None)
    if hasattr(config, "sep") and not (isinstance(separator, str) and len(separator) == 1 and separator not in '\r\n"'):
        key = "sep" if config.delimiter is None else "delimiter"
        said = f"'{shortened(printable(separator), 40)}'" if isinstance(separator, str) else kind_of(separator)
        raise DataError(
            f"{card}: `{key}` is {said} where one character is needed, which separates the cells of a table. Write it in quotes, "
            "',' say."
        )
    under = getattr(config, "field", None)
    if not isinstance(under, str | None):
        raise DataError(
            f"{card}: `field` is {kind_of(under)} where text is needed, the key of the list of rows in a JSON file. Write it in "
            "quotes, or leave it out where the file is that list."
        )
    for key in _OTHER_READING:
        value = getattr(config, key, None)
        if value not in (getattr(type(config), key, None), *_SAME_READING.get(key, ())):
            raise DataError(
                f"{card} sets `{key}`, which is not followed here: a text file is UTF-8, and a table has one header line, quotes "
                'cells with " and has a row on every other line. Convert the file, and leave the setting out.'
            )
    return separator, under


def text_rows(
    files: Sequence[Path],
    *,
    separator: str | None = None,
    under: str | None = None,
    numbers: Sequence[str] = (),
    optional: str | None = None,
    wanted: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of CSV, TSV and JSON files, one file after the other; in a table every value is the text of its cell.

    `separator` is that of the tables' cells, a tab in `.tsv` files; `under` is the key of the list in a JSON file that is an
    object. The cells of the columns `numbers` are numbers where they can be; an empty cell of the column `optional` is none;
    a table should have the columns `wanted`.
    Raises DataError for a file that is none of these or cannot be read.
    """
    for file in files:
        kind = file.suffix.lower()
        if kind in TABLES:
            for row in _table(file, "\t" if kind == ".tsv" else separator or ",", wanted):
                yield _with_numbers(row, numbers, optional)
        elif kind in JSON:
            yield from _json(file, under)
        else:
            raise DataError(
                f"{shown(file)} is not read: a data folder holds {', '.join([*TABLES, *JSON, *TYPED])} files. Unpack or "
                "convert it."
            )


def _table(file: Path, separator: str, wanted: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_LINE)
    try:
        with open_regular(file) as opened:
            fault = table_fault(opened.read(1 << 16), separator, wanted)
            if fault is not None:
                raise DataError(f"{shown(file)}: {fault}")
            opened.seek(0)
            # A byte that is no UTF-8 becomes a lone surrogate, so that the row that has it is named and not the whole file.
            text = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(text, delimiter=separator, strict=True)
            header = _header(file, next(reader, []))
            while (row := _next(reader, header, shown(file), separator)) is not None:
                if row.values:
                    yield row
    except OSError as error:
        raise _unreadable(file, error) from error
    except csv.Error as error:
        raise DataError(f"{shown(file)}: the header is no line of CSV ({error}). Mend it.") from error


def _header(file: Path, cells: list[str]) -> list[str]:
    if not cells:
        raise DataError(f"{shown(file)} has no header: the first line of a table names its columns. Add one.")
    twice = sorted({cell for cell in cells if cells.count(cell) > 1}) if len(cells) < 10_000 else cells[:1]
    if twice:
        raise DataError(
            f"{shown(file)} has the column {twice[0]!r} more than once. Give each column a name of its own."
        )
    return cells


def _next(reader: Any, header: list[str], name: str, separator: str) -> Row | None:
    """The next row of a table; one without values for a blank line."""
    try:
        cells: list[str] = next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        return Row(f"{name}, line {reader.line_num}", BadRowError(f"it is no line of CSV ({error})"))
    where = f"{name}, line {reader.line_num}"
    if not cells:
        return Row(where, {})
    if len(cells) != len(header):
        hint = line_fault(cells, len(header), separator).rstrip(".")
        return Row(
            where,
            BadRowError(f"it has {len(cells)} cells, and the header names {len(header)} columns{hint and f'.{hint}'}"),
        )
    if (escaped := re.search(r"[\udc80-\udcff]", "".join(cells))) is not None:
        return Row(where, BadRowError(f"it has the byte 0x{ord(escaped[0]) & 0xFF:02x}, which is not UTF-8"))
    return Row(where, dict(zip(header, cells, strict=True)))


def _with_numbers(row: Row, numbers: Sequence[str], optional: str | None) -> Row:
    if isinstance(row.values, BadRowError):
        return row
    kept = {key: value for key, value in row.values.items() if key != optional or value}
    return Row(row.where, {**kept, **{key: _number(kept[key]) for key in numbers if key in kept}})


def _number(text: str) -> int | float | str:
    """The number that a cell is; other text as it is, for the reader of the row to refuse."""
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
                    where = f"{shown(file)}, item {index}"
                    good = isinstance(item, dict)
                    yield Row(where, item if good else BadRowError(f"it is {kind_of(item)} where an object is needed"))
    except OSError as error:
        raise _unreadable(file, error) from error
    except StrictJsonError as error:
        raise DataError(f"{shown(file)}: {error}. Mend the file.") from error
    if not is_list:
        yield from json_lines(str(file), key="data.task.path")


def _first(file: BinaryIO) -> bytes:
    """The first byte of a file that is no white space or byte order mark."""
    return file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _unreadable(file: Path, error: OSError) -> DataError:
    return DataError(f"{shown(file)} cannot be read ({error.strerror}). Check `data.task.path`.")
