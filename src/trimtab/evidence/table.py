"""A table of results from a CSV file: arms, seeds and metrics, checked to be paired."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import DataError
from trimtab.evidence.arrays import Floats

_KEYS = ("arm", "seed", "trunk", "diverged", "untrained")
_TRUE, _FALSE = {"1", "true", "yes"}, {"", "0", "false", "no"}

Key = tuple[str, str]
"""What is paired: the trunk (the seed where there is none) and the seed."""


@dataclass(frozen=True)
class Table:
    """Paired results: every arm has every key once, in the order of `keys`.

    `values[arm, metric]`: the metric of each key, nan or inf where the file says so. `diverged[arm]`: the file's column,
    False without one. `untrained[arm, metric]`: the untrained model's metric, nan where it is not given. `lines[arm]`: the
    line of the file, counted from 1.
    """

    source: str
    arms: tuple[str, ...]
    metrics: tuple[str, ...]
    keys: tuple[Key, ...]
    has_trunks: bool
    values: dict[tuple[str, str], Floats]
    diverged: dict[str, NDArray[np.bool_]]
    untrained: dict[tuple[str, str], Floats]
    lines: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Row:
    line: int
    cells: dict[str, str]


def read_table(path: Path | str) -> Table:
    """The table of a CSV file with a header: `arm`, `seed`, then one column a metric.

    Optional columns: `trunk` (forked futures of one state; a pair then shares trunk and seed), `diverged` (1 or 0), and
    the untrained model's metric to cap diverged runs at, `untrained` (for a file of one metric) or `untrained_METRIC`.
    Raises DataError, naming file, line and column, for a file that cannot be read, a missing or doubled column, a cell
    that is no number, a run given twice, a run that an arm lacks, and fewer than two arms.
    """
    path = Path(path)
    header, rows = _rows(path)
    for name in ("arm", "seed"):
        if name not in header:
            raise DataError(f"{path}: the column '{name}' is missing. Columns found: {', '.join(header)}. Add it.")
    metrics = tuple(name for name in header if name not in _KEYS and not name.startswith("untrained_"))
    if not metrics:
        raise DataError(
            f"{path}: there is no metric. Beside arm and seed, add a column for each metric, such as val_loss."
        )
    _check_untrained(path, header, metrics)
    found = _by_arm(path, rows, "trunk" if "trunk" in header else "seed")
    if len(found) < 2:
        raise DataError(f"{path}: a comparison takes two arms; the column 'arm' holds {', '.join(found) or 'none'}.")
    keys = tuple(dict.fromkeys(key for runs in found.values() for key in runs))
    for arm, runs in found.items():
        if lacking := [key for key in keys if key not in runs]:
            other = next(name for name, others in found.items() if lacking[0] in others)
            raise DataError(
                f"{path}: arm '{arm}' has no run with {_named(lacking[0], 'trunk' in header)}, which '{other}' has. Every arm "
                "needs every pair: add the run (a diverged one too, marked in a column 'diverged'), or take the pair out "
                "of all arms."
            )
    ordered = {arm: [runs[key] for key in keys] for arm, runs in found.items()}
    return Table(
        source=str(path),
        arms=tuple(found),
        metrics=metrics,
        keys=keys,
        has_trunks="trunk" in header,
        values={(arm, name): _numbers(path, runs, name) for arm, runs in ordered.items() for name in metrics},
        diverged={arm: np.array([_flag(path, row) for row in runs]) for arm, runs in ordered.items()},
        untrained={
            (arm, name): _untrained(path, runs, name, header) for arm, runs in ordered.items() for name in metrics
        },
        lines={arm: tuple(row.line for row in runs) for arm, runs in ordered.items()},
    )


def _rows(path: Path) -> tuple[list[str], list[_Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file in UTF-8: {error}.") from None
    if not rows:
        raise DataError(f"{path} holds no results. It needs a header (arm, seed, metrics) and one line a run.")
    if doubled := [name for name in header if header.count(name) > 1 or not name]:
        raise DataError(
            f"{path}: the header names the column '{doubled[0]}' twice or not at all. Give each its own name."
        )
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(f"{path}, line {line}: {len(cells)} cells under {len(header)} columns. Mend that line.")
    return header, [_Row(line, dict(zip(header, cells, strict=True))) for line, cells in rows]


def _by_arm(path: Path, rows: list[_Row], trunk: str) -> dict[str, dict[Key, _Row]]:
    found: dict[str, dict[Key, _Row]] = {}
    for row in rows:
        arm, key = row.cells["arm"], (row.cells[trunk], row.cells["seed"])
        for column in ("arm", "seed", trunk):
            if not row.cells[column]:
                raise DataError(f"{path}, line {row.line}, column '{column}': the cell is empty. Fill it in.")
        if key in (runs := found.setdefault(arm, {})):
            raise DataError(
                f"{path}, line {row.line}: arm '{arm}' has a run with {_named(key, trunk == 'trunk')} already, on line "
                f"{runs[key].line}. Keep one of them."
            )
        runs[key] = row
    return found


def _check_untrained(path: Path, header: list[str], metrics: tuple[str, ...]) -> None:
    if "untrained" in header and len(metrics) > 1:
        raise DataError(
            f"{path}: the column 'untrained' belongs to one metric and the file has {len(metrics)} ({', '.join(metrics)}). "
            "Name the columns untrained_METRIC."
        )
    for name in header:
        if name.startswith("untrained_") and name.removeprefix("untrained_") not in metrics:
            raise DataError(f"{path}: the column '{name}' belongs to no metric of the file ({', '.join(metrics)}).")


def _untrained(path: Path, rows: list[_Row], metric: str, header: list[str]) -> Floats:
    column = next((name for name in (f"untrained_{metric}", "untrained") if name in header), None)
    return np.full(len(rows), np.nan) if column is None else _numbers(path, rows, column, empty=True)


def _numbers(path: Path, rows: list[_Row], column: str, empty: bool = False) -> Floats:
    values = []
    for row in rows:
        text = row.cells[column]
        try:
            values.append(float("nan") if empty and not text else float(text))
        except ValueError:
            raise DataError(
                f"{path}, line {row.line}, column '{column}': '{text}' is not a number. Write a number (nan for a run that "
                "diverged), or take the column out of the file."
            ) from None
    return np.array(values)


def _flag(path: Path, row: _Row) -> bool:
    text = row.cells.get("diverged", "").lower()
    if text not in _TRUE | _FALSE:
        raise DataError(f"{path}, line {row.line}, column 'diverged': '{text}' is neither 1 nor 0.")
    return text in _TRUE


def _named(key: Key, trunks: bool) -> str:
    return f"trunk {key[0]} and seed {key[1]}" if trunks else f"seed {key[1]}"
