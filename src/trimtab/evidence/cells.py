"""Reading the header and the cells of a CSV file."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

from trimtab.boundary import line_fault, listed, printable, read_regular, shortened, table_fault
from trimtab.errors import DataError

_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")  # how programs write a whole number stored as a float
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_TRUE, _FALSE = {"true", "yes"}, {"", "false", "no"}


@dataclass(frozen=True)
class Row:
    """A line of the file, counted from 1, with its cells by column."""

    line: int
    cells: dict[str, str]


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """The header and the rows of a CSV file of at most 64 MiB; lines of empty cells are left out.

    Raises DataError for a file that cannot be read, that has no rows, whose columns are not separated by commas, a column
    without a name or with that of another, and a line with more or fewer cells than columns.
    """
    try:
        content = read_regular(path)
        if (fault := table_fault(content, ",", ("arm", "seed"))) is not None:
            raise DataError(f"{path}: {fault}")
        text = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file in UTF-8: {error}.") from None
    header, rows = (lines[0][1] if lines else []), lines[1:]
    if not rows:
        raise DataError(f"{path} has no results. It needs a header (arm, seed, metrics) and one line per run.")
    _check_header(path, header)
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells under {len(header)} columns.{_why(cells, header)} Correct that line."
            )
    return header, [Row(line, dict(zip(header, cells, strict=True))) for line, cells in rows]


def shown(text: str) -> str:
    """A cell, shortened and escaped for an error message."""
    return shortened(printable(text), 60)


def plain_number(text: str) -> float | None:
    """The number written in ASCII digits with a decimal point, or nan or inf; None for any other text."""
    return float(text) if _NUMBER.fullmatch(text) else None


def number(path: Path, row: Row, column: str) -> float:
    """The number in a cell, nan and inf included. Raises DataError for anything else."""
    text = row.cells[column]
    where = f"{path}, line {row.line}, column '{shown(column)}'"
    value = plain_number(text)
    if value is None:
        what = "has a decimal comma. Write a point" if _COMMA.fullmatch(text) else (
            "is not a number. Write a number (nan for a run that diverged), or take the column out of the file"
        )  # fmt: skip
        raise DataError(f"{where}: '{shown(text)}' {what}.")
    if math.isinf(value) and any(char.isdigit() for char in text):
        raise DataError(
            f"{where}: '{shown(text)}' is beyond the largest number, 1.8e308. Divide the column by a constant, or write inf "
            "for a run that diverged."
        )
    return value


def flag(path: Path, row: Row, column: str) -> bool:
    """True for 1, 1.0, true or yes; False for an empty cell, 0, 0.0, false or no. Raises DataError otherwise."""
    text = row.cells.get(column, "").lower()
    value = plain_number(text)
    if value in (0.0, 1.0):
        return value == 1.0
    if text not in _TRUE | _FALSE:
        raise DataError(
            f"{path}, line {row.line}, column '{column}': '{shown(text)}' is neither yes nor no. Write 1, true or yes for a run "
            "that diverged, and 0, false, no or nothing for one that did not."
        )
    return text in _TRUE


def identifier(path: Path, row: Row, column: str) -> str:
    """The text that names an arm, a seed or a trunk; a seed or trunk such as 1.0 is 1. Raises DataError for an empty cell."""
    text = row.cells[column]
    if not text:
        raise DataError(f"{path}, line {row.line}, column '{column}': the cell is empty. Fill it in.")
    whole = _WHOLE.fullmatch(text) if column != "arm" else None
    return whole[1] if whole else text


def _check_header(path: Path, header: list[str]) -> None:
    if "" in header:
        raise DataError(f"{path}: column {header.index('') + 1} has no name. Name it, or take it out of the file.")
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise DataError(f"{path}: the header names the column '{shown(name)}' twice. Give each its own name.")
        seen.add(name)
    for name in ("arm", "seed"):
        if name not in seen:
            other = next((column for column in header if column.lower() == name), None)
            what = f"Rename '{other}'" if other is not None else "Add it"
            raise DataError(f"{path}: the column '{name}' is missing. Columns found: {listed(header)}. {what}.")


def _why(cells: list[str], header: list[str]) -> str:
    if fault := line_fault(cells, len(header), ","):
        return fault
    if len(cells) > len(header) and any(cell.lstrip("+-").isdigit() for cell in cells[2:]):
        return " Numbers take a decimal point (0.5, not 0,5), and a text with a comma takes quotes."
    return ""
