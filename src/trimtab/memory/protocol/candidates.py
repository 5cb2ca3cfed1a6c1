"""The shape of a loss curve, in one of five words."""

from typing import Literal

import numpy as np
from jaxtyping import Float

Shape = Literal["healthy", "plateau", "oscillating", "flat", "diverging"]

_FLAT, _DIVERGING, _PLATEAU, _ROUGH = 0.1, 1.2, 0.4, 0.5


def curve_shape(losses: Float[np.ndarray, " steps"]) -> Shape:
    """What a candidate's summed loss did over its steps; the first rule that holds decides.

    diverging: the last tenth's median is over 1.2 times the start, or not finite. flat: it is within 10% of the start.
    oscillating: the steps upwards together are over half of those downwards. plateau: after a first drop, a stretch of 40% of
    the steps lies within 10% of its own middle and the curve ends below half of it (a plateau, then a drop). healthy: else.
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
    """The numbers of at most `points` steps, the first and the last among them, evenly spread."""
    return sorted({int(step) for step in np.linspace(0, len(losses) - 1, min(points, len(losses)))})
