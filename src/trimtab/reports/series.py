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


def final_passage(rows: list[dict[str, Any]], steps: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """What is left after rewinds, by step: the rows before whose step no later attempt began.

    `steps` are the rows of `steps.jsonl`, which say where each attempt began; without them `rows` are these.
    """
    begun: dict[int, int] = {}
    for row in rows if steps is None else steps:
        attempt = row.get("attempt", 0)
        begun[attempt] = min(row["step"], begun.get(attempt, row["step"]))
    last: dict[int, dict[str, Any]] = {}
    for row in rows:
        if all(row["step"] < step for attempt, step in begun.items() if attempt > row.get("attempt", 0)):
            last[row["step"]] = row
    return [last[step] for step in sorted(last)]


def overwritten(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of passages that a rewind gave up."""
    kept = {id(row) for row in final_passage(rows)}
    return [row for row in rows if id(row) not in kept]


def column(rows: list[dict[str, Any]], name: str) -> Series:
    """The numbers under `name` over their steps."""
    pairs = [(row["step"], row[name]) for row in rows if is_number(row.get(name)) and is_number(row.get("step"))]
    return Series(np.array([s for s, _ in pairs], dtype=np.int64), np.array([v for _, v in pairs], dtype=np.float64))


def speed(rows: list[dict[str, Any]]) -> Series:
    """Tokens per second of the final passage's steps: what `tokens` grew by since the row before, over `seconds`.

    `tokens` count from the run's start through every passage, so `rows` are all of them in the order written. The first row
    has none (a fork's tokens began before it).
    """
    pairs = []
    for before, row in zip(rows, rows[1:], strict=False):
        numbers = (before.get("tokens"), row.get("tokens"), row.get("seconds"))
        if all(map(is_number, numbers)) and row["tokens"] > before["tokens"] and row["seconds"] > 0:
            rate = (row["tokens"] - before["tokens"]) / row["seconds"]
            pairs.append({"step": row["step"], "attempt": row.get("attempt", 0), "speed": rate})
    return column(final_passage(pairs, rows), "speed")


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
