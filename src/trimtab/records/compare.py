"""Where two runs part, and in what their configs differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trimtab.errors import RunError
from trimtab.records.run_directory import RunDirectory
from trimtab.records.values import flatten, is_number, same

VOLATILE = frozenset(
    {"seconds", "time", "wall_time", "elapsed", "tokens_per_second", "rss_mb", "peak_rss_mb", "gpu_mb", "peak_gpu_mb"}
)
"""Columns (the last part of a dotted name) that measure the machine and not the training: never compared."""

_POSITION = ("attempt", "step")


def refuse_changes(folder: Path, changes: Sequence[str], consequence: str, way_out: str) -> None:
    """Raise `RunError` if there are `changes`: phrases, each naming a changed condition that affects the run's results."""
    if changes:
        raise RunError(
            f"The run in {folder} was recorded under other conditions: {'; '.join(changes)}. {consequence} Undo the change, or "
            f"{way_out}."
        )


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()
"""The value in a difference where one side has none."""


@dataclass(frozen=True)
class Difference:
    """The first place where two runs part.

    `kind`: "value" (`column` holds `a` and `b`); "end" (equal as far as both go, one stops before `step`); "missing" (one
    has no row for `step` but has later ones); "apart" (no step in common, or no column to compare). `message` says it
    in one sentence.
    """

    kind: Literal["value", "end", "missing", "apart"]
    attempt: int | None
    step: int | None
    column: str | None
    a: Any
    b: Any
    message: str


def first_difference(run_a: RunDirectory, run_b: RunDirectory) -> Difference | None:
    """The first step at which the step records of two runs differ, None when they do not.

    Rows are matched by (attempt, step) and every numeric column that both have is compared exactly (a nan equals a nan),
    but for `VOLATILE` ones. A run that begins later (a fork's child) is compared from its first row on. Raises RunError
    for a damaged record.
    """
    return rows_difference(run_a.steps(), run_b.steps())


def rows_difference(rows_a: list[dict[str, Any]], rows_b: list[dict[str, Any]]) -> Difference | None:
    """`first_difference` on rows at hand (`numbers=True` ones)."""
    a, b = _by_position(rows_a), _by_position(rows_b)
    if not a and not b:
        return None
    if not a.keys() & b.keys():
        message = f"the runs have no step in common: A has {_extent(a)}, B has {_extent(b)}"
        return Difference("apart", None, None, None, ABSENT, ABSENT, message)
    start = max(min(a), min(b))
    compared = False
    for position in sorted(key for key in a.keys() | b.keys() if key >= start):
        if position not in a or position not in b:
            return _unmatched(a, b, position)
        columns = [c for c, value in a[position].items() if is_number(value) and is_number(b[position].get(c))]
        compared = compared or bool(columns)
        for column in columns:
            x, y = a[position][column], b[position][column]
            if not same(x, y):
                message = f"{_place(position)}: {column} is {x!r} in A and {y!r} in B"
                return Difference("value", *position, column, x, y, message)
    if not compared:
        message = "the runs' step records have no numeric column in common"
        return Difference("apart", None, None, None, ABSENT, ABSENT, message)
    return None


def config_delta(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys in which two configs differ, as `(dotted key, a's value, b's value)`, `ABSENT` for a missing one.

    Lists of one length are compared element by element (`hooks.0.every`), others as wholes.
    """
    first, second = dict(_leaves(a, b)), dict(_leaves(b, a))
    keys = dict.fromkeys([*first, *second])
    pairs = ((key, first.get(key, ABSENT), second.get(key, ABSENT)) for key in keys)
    return [(key, x, y) for key, x, y in pairs if not same(x, y)]


def _by_position(rows: list[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    table = {}
    for row in rows:
        leaves = {k: v for k, v in flatten(row) if k.rsplit(".", 1)[-1] not in VOLATILE and k not in _POSITION}
        table[row.get("attempt", 0), row["step"]] = leaves
    return table


def _unmatched(a: dict[tuple[int, int], Any], b: dict[tuple[int, int], Any], position: tuple[int, int]) -> Difference:
    has, lacks, other = ("A", "B", b) if position in a else ("B", "A", a)
    x, y = (position in a) or ABSENT, (position in b) or ABSENT
    if position > max(other):
        message = f"equal on all common steps; {lacks} ends after {_place(max(other))}, {has} continues"
        return Difference("end", *position, None, x, y, message)
    return Difference("missing", *position, None, x, y, f"{_place(position)}: {has} has this row, {lacks} does not")


def _place(position: tuple[int, int]) -> str:
    attempt, step = position
    return f"step {step}" + (f" (attempt {attempt})" if attempt else "")


def _extent(rows: dict[tuple[int, int], Any]) -> str:
    return f"{_place(min(rows))} to {_place(max(rows))}" if rows else "none"


def _leaves(value: Any, other: Any, key: str = "") -> list[tuple[str, Any]]:
    """The leaves of `value`, going no deeper than where `other` has the same shape or nothing at all."""
    if isinstance(value, Mapping) and isinstance(other, Mapping) and (value or other):
        children = [(str(name), item, other.get(name, ABSENT)) for name, item in value.items()]
    elif isinstance(value, Mapping) and value and other is ABSENT:
        children = [(str(name), item, ABSENT) for name, item in value.items()]
    elif isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)) and len(value) == len(other):
        children = [(str(index), x, y) for index, (x, y) in enumerate(zip(value, other, strict=True))]
    else:
        return [(key, value)]
    return [leaf for name, x, y in children for leaf in _leaves(x, y, f"{key}.{name}" if key else name)]
