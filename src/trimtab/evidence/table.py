"""A table of results from a CSV file: arms, seeds and metrics, checked to be paired."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimtab.boundary import listed
from trimtab.errors import DataError
from trimtab.evidence.arrays import Floats
from trimtab.evidence.cells import Row, flag, identifier, number, read_rows, shown

_KEYS = ("arm", "seed", "trunk", "diverged", "untrained")
MOST_PAIRS = 100_000
"""Maximum number of pairs; the random sign-flip test would take hours beyond it."""

Key = tuple[str, str]
"""The key of a pair: the trunk (the seed where there is none) and the seed."""


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


def read_table(path: Path | str) -> Table:
    """The table of a CSV file with a header: `arm`, `seed`, then one column per metric.

    Optional columns. `trunk`: the run that was forked; a pair then has the same trunk and seed. `diverged`: 1 or 0, true or
    false, yes or no. `untrained` (for a file of one metric) or `untrained_METRIC`: the untrained model's metric, which caps
    diverged runs. Raises DataError, naming file, line and column, for a file that cannot be read, a missing or repeated
    column, a cell that is not a number, a repeated run, a run that an arm lacks, fewer than two arms and more than
    `MOST_PAIRS` pairs.
    """
    path = Path(path)
    header, rows = read_rows(path)
    metrics = tuple(name for name in header if name not in _KEYS and not name.startswith("untrained_"))
    if not metrics:
        raise DataError(
            f"{path}: there is no metric. Besides arm and seed, add one column per metric, such as val_loss."
        )
    _check_untrained(path, header, metrics)
    arms = _by_arm(path, rows, "trunk" if "trunk" in header else "seed")
    if len(arms) < 2:
        raise DataError(f"{path}: a comparison needs two arms; the column 'arm' has {listed(arms)}.")
    keys = tuple(dict.fromkeys(key for runs in arms.values() for key in runs))
    if len(keys) > MOST_PAIRS:
        raise DataError(
            f"{path} has {len(keys):,} pairs, and a table may have {MOST_PAIRS:,}. Average some pairs, or split the table."
        )
    for arm, runs in arms.items():
        if lacking := [key for key in keys if key not in runs]:
            other = next(name for name, others in arms.items() if lacking[0] in others)
            raise DataError(
                f"{path}: arm '{shown(arm)}' has no run with {_named(lacking[0], 'trunk' in header)}, which '{shown(other)}' "
                "has. Every arm needs every pair: add the run (a diverged one too, marked in a column 'diverged'), or take the "
                "pair out of all arms."
            )
    ordered = {arm: [runs[key] for key in keys] for arm, runs in arms.items()}
    return Table(
        source=str(path),
        arms=tuple(arms),
        metrics=metrics,
        keys=keys,
        has_trunks="trunk" in header,
        values={(arm, name): _numbers(path, runs, name) for arm, runs in ordered.items() for name in metrics},
        diverged={arm: np.array([flag(path, row, "diverged") for row in runs]) for arm, runs in ordered.items()},
        untrained={
            (arm, name): _untrained(path, runs, name, header) for arm, runs in ordered.items() for name in metrics
        },
        lines={arm: tuple(row.line for row in runs) for arm, runs in ordered.items()},
    )


def _by_arm(path: Path, rows: list[Row], trunk: str) -> dict[str, dict[Key, Row]]:
    arms: dict[str, dict[Key, Row]] = {}
    for row in rows:
        arm = identifier(path, row, "arm")
        key = identifier(path, row, trunk), identifier(path, row, "seed")
        if key in (runs := arms.setdefault(arm, {})):
            raise DataError(
                f"{path}, line {row.line}: arm '{shown(arm)}' has a run with {_named(key, trunk == 'trunk')} already, on line "
                f"{runs[key].line}. Keep one of them."
            )
        runs[key] = row
    return arms


def _check_untrained(path: Path, header: list[str], metrics: tuple[str, ...]) -> None:
    if "untrained" in header and len(metrics) > 1:
        raise DataError(
            f"{path}: the column 'untrained' belongs to one metric and the file has {len(metrics)} ({listed(metrics)}). "
            "Name the columns untrained_METRIC."
        )
    known = set(metrics)
    for name in header:
        if name.startswith("untrained_") and name.removeprefix("untrained_") not in known:
            raise DataError(f"{path}: the column '{shown(name)}' belongs to no metric of the file ({listed(metrics)}).")


def _untrained(path: Path, rows: list[Row], metric: str, header: list[str]) -> Floats:
    column = next((name for name in (f"untrained_{metric}", "untrained") if name in header), None)
    return np.full(len(rows), np.nan) if column is None else _numbers(path, rows, column, empty=True)


def _numbers(path: Path, rows: list[Row], column: str, empty: bool = False) -> Floats:
    return np.array(
        [math.nan if empty and not row.cells[column] else number(path, row, column) for row in rows], dtype=np.float64
    )


def _named(key: Key, trunks: bool) -> str:
    return f"trunk {shown(key[0])} and seed {shown(key[1])}" if trunks else f"seed {shown(key[1])}"
