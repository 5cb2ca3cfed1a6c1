"""Finished candidates: the bounds on their losses, their rows in the records, and which pairs are done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from trimtab.memory.engine.solve import FinishedCandidate

SIDES = ("question", "answer")
"""The two texts of a pair."""

Shape = Literal["healthy", "plateau", "oscillating", "flat", "diverging"]
"""The shape of a loss curve."""

_FLAT, _DIVERGING, _PLATEAU, _ROUGH = 0.1, 1.2, 0.4, 0.5


@dataclass(frozen=True)
class LossBounds:
    """What a pair's losses are compared with: by side, the loss under random vectors and the loss in full context."""

    random: Mapping[str, float]
    context: Mapping[str, float]

    def ceiling(self, side: str) -> float:
        """The bound of the strict criterion: 0.3 of the loss under random vectors."""
        return 0.3 * self.random[side]

    def lenient(self, side: str) -> float:
        """The bound of the lenient criterion: the ceiling, or twice the loss in full context if that is higher."""
        return max(self.ceiling(side), 2.0 * self.context[side])


def candidate_row(finished: FinishedCandidate, bounds: LossBounds | None, sides: tuple[str, ...]) -> dict[str, Any]:
    """The row of a finished candidate; a side that was not optimised has null."""
    losses = {side: finished.losses[:, index] for index, side in enumerate(sides)}
    total = np.sum([losses[side] for side in sides], axis=0)
    lenient: int | None = None
    if bounds is not None:
        within = np.all([losses[side] < bounds.lenient(side) for side in sides], axis=0)
        lenient = int(within.argmax()) if within.any() else None

    def at(step: int) -> dict[str, float | None]:
        return {side: float(losses[side][step]) if side in losses else None for side in SIDES}

    return {
        "pair": finished.pair,
        "restart": finished.restart,
        "status": finished.status,
        "steps": finished.steps,
        "seconds": finished.seconds,
        "lenient_step": lenient,
        "loss": at(-1),
        "margin": finished.margin,
        "loss_at_start": at(0),
        "start_converged": finished.status == "solved" and finished.steps == 0,
        "start_lenient": lenient == 0,
        "curve": [[step, *at(step).values()] for step in thinned(finished.losses)],
        "shape": curve_shape(total),
    }


class PairProgress:
    """By pair: `solved`; `done`, solved or without restarts left; `tried`, with at least one finished candidate."""

    def __init__(self, rows: list[dict[str, Any]], restarts: int) -> None:
        self.restarts = restarts
        self.tried: set[str] = set()
        self.done: set[str] = set()
        self.solved: set[str] = set()
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a finished candidate."""
        self.tried.add(row["pair"])
        if row["status"] == "solved":
            self.solved.add(row["pair"])
        if row["status"] == "solved" or row["restart"] + 1 >= self.restarts:
            self.done.add(row["pair"])


def curve_shape(losses: Float[np.ndarray, " steps"]) -> Shape:
    """Classify a candidate's summed loss over its steps; the first rule that applies decides.

    diverging: the median of the last tenth is over 1.2 times the start, or a loss is not finite. flat: that median is not more
    than 10% below the start. oscillating: all increases together are over half of all decreases. plateau: after the first step,
    40% of the steps in a row stay within 10% of their median, and the curve ends below half of it (a plateau, then a drop).
    healthy: none of these.
    """
    if not np.isfinite(losses).all():
        return "diverging"
    start, end = float(losses[0]), float(np.median(losses[-max(1, len(losses) // 10) :]))
    if end > _DIVERGING * start:
        return "diverging"
    if end > (1 - _FLAT) * start:
        return "flat"
    moves = np.diff(losses)
    if moves[moves > 0].sum() > _ROUGH * -moves[moves < 0].sum():
        return "oscillating"
    length = max(3, int(_PLATEAU * len(losses)))
    for begin in range(1, len(losses) - length):
        stretch = losses[begin : begin + length]
        middle = float(np.median(stretch))
        if np.abs(stretch - middle).max() <= _FLAT * middle and end < 0.5 * middle:
            return "plateau"
    return "healthy"


def thinned(losses: Float[np.ndarray, "steps branches"], points: int = 120) -> list[int]:
    """At most `points` step numbers, evenly spread, including the first and the last."""
    return sorted({int(step) for step in np.linspace(0, len(losses) - 1, min(points, len(losses)))})
