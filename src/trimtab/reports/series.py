"""The step and evaluation records of a run as arrays to plot."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trimtab.records.values import is_number


@dataclass(frozen=True)
class Series:
    """One column over steps; rows without a number are left out, non-finite numbers are kept."""

    steps: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]

    def finite(self) -> "Series":
        """The rows with finite values."""
        keep = np.isfinite(self.values)
        return Series(self.steps[keep], self.values[keep])

    def __len__(self) -> int:
        return len(self.steps)


def final_passage(rows: list[dict[str, Any]], steps: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The rows that rewinds left, by step: those at whose step, or before it, no later attempt began.

    `steps` are the rows of `steps.jsonl`, which show where each attempt began; without them `rows` are these.
    """
    starts: dict[int, int] = {}
    for row in rows if steps is None else steps:
        attempt = row.get("attempt", 0)
        starts[attempt] = min(row["step"], starts.get(attempt, row["step"]))
    last: dict[int, dict[str, Any]] = {}
    for row in rows:
        if all(row["step"] < step for attempt, step in starts.items() if attempt > row.get("attempt", 0)):
            last[row["step"]] = row
    return [last[step] for step in sorted(last)]


def overwritten(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that a rewind discarded."""
    kept = {id(row) for row in final_passage(rows)}
    return [row for row in rows if id(row) not in kept]


def column(rows: list[dict[str, Any]], name: str) -> Series:
    """The numbers of a column over their steps."""
    pairs = [(row["step"], row[name]) for row in rows if is_number(row.get(name)) and is_number(row.get("step"))]
    return Series(np.array([s for s, _ in pairs], dtype=np.int64), np.array([v for _, v in pairs], dtype=np.float64))


def speed(rows: list[dict[str, Any]]) -> Series:
    """Tokens per second at the steps that rewinds left: the growth of `tokens` since the row before, divided by `seconds`.

    `tokens` count from the start of the run through every attempt, so `rows` are all rows in the order written. The first row
    has no value, because the tokens of a fork begin with its parent's.
    """
    pairs = []
    for before, row in zip(rows, rows[1:], strict=False):
        numbers = (before.get("tokens"), row.get("tokens"), row.get("seconds"))
        if all(map(is_number, numbers)) and row["tokens"] > before["tokens"] and row["seconds"] > 0:
            rate = (row["tokens"] - before["tokens"]) / row["seconds"]
            pairs.append({"step": row["step"], "attempt": row.get("attempt", 0), "speed": rate})
    return column(final_passage(pairs, rows), "speed")


def smooth(series: Series, span: float) -> Series:
    """An exponential moving average over n/10 rows at row n, up to `span` rows, without non-finite values.

    The growing window follows the steep start, where a fixed one would lag behind.
    """
    series = series.finite()
    values = np.empty(len(series))
    average = 0.0
    for index, value in enumerate(series.values):
        average += (value - average) / min(max(1.0, span), 1.0 + index / 10.0)
        values[index] = average
    return Series(series.steps, values)
