"""The step and evaluation records of a run as arrays to plot."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trimtab.records.values import is_number


@dataclass(frozen=True)
class Series:
    """One column over steps; rows without a number there are left out, non-finite ones kept."""

    steps: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]

    def finite(self) -> "Series":
        """The part that can be drawn."""
        keep = np.isfinite(self.values)
        return Series(self.steps[keep], self.values[keep])

    def __len__(self) -> int:
        return len(self.steps)


def final_passage(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each step the row of the highest attempt, by step: what is left after rewinds."""
    last: dict[int, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row.get("attempt", 0)):
        last[row["step"]] = row
    return [last[step] for step in sorted(last)]


def overwritten(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that a later attempt took the place of."""
    kept = {id(row) for row in final_passage(rows)}
    return [row for row in rows if id(row) not in kept]


def column(rows: list[dict[str, Any]], name: str) -> Series:
    """The numbers under `name` over their steps."""
    pairs = [(row["step"], row[name]) for row in rows if is_number(row.get(name)) and is_number(row.get("step"))]
    return Series(np.array([s for s, _ in pairs], dtype=np.int64), np.array([v for _, v in pairs], dtype=np.float64))


def speed(rows: list[dict[str, Any]]) -> Series:
    """Tokens per second of each step: what `tokens` (counted from the run's start) grew by since the row before, over `seconds`.

    `rows` are in the order written. The first row has none (a fork's tokens began before it).
    """
    pairs = []
    for before, row in zip(rows, rows[1:], strict=False):
        numbers = (before.get("tokens"), row.get("tokens"), row.get("seconds"))
        if all(map(is_number, numbers)) and row["tokens"] > before["tokens"] and row["seconds"] > 0:
            pairs.append({"step": row["step"], "speed": (row["tokens"] - before["tokens"]) / row["seconds"]})
    return column(pairs, "speed")


def smooth(series: Series, span: float) -> Series:
    """The exponential moving average whose memory grows with the row, n/10, up to `span` rows.

    So it follows the steep start, where a fixed memory would lag far behind. Non-finite values do not enter it.
    """
    series = series.finite()
    values = np.empty(len(series))
    average = 0.0
    for index, value in enumerate(series.values):
        average += (value - average) / min(max(1.0, span), 1.0 + index / 10.0)
        values[index] = average
    return Series(series.steps, values)
