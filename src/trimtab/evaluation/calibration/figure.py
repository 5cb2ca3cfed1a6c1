"""One figure with what is needed to believe it."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEVEL = 0.95
"""The level of intervals where none is asked for."""


@dataclass(frozen=True)
class Kind:
    """How a figure's interval is made: `biased` when it is no mean over items, and the ends of its scale."""

    biased: bool
    lowest: float = 0.0
    highest: float = 1.0


@dataclass(frozen=True)
class Figure:
    """A figure, its bootstrap interval, and what a perfect predictor would score.

    `null_floor` is the mean score, at this sample size and with these confidences, of a predictor whose every
    confidence is true, and `null_high` the score that 95% of such samples stay below. None: not asked for, or (the interval)
    nothing to resample.
    """

    value: float
    low: float | None = None
    high: float | None = None
    null_floor: float | None = None
    null_high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """The five numbers by name."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "null_floor": self.null_floor,
            "null_high": self.null_high,
        }


def figure(
    value: float, kind: Kind, draws: Float[np.ndarray, " d"], null: Float[np.ndarray, " s"], level: float
) -> Figure:
    """A figure from its bootstrap `draws` and its scores under simulated outcomes (either may be empty)."""
    low, high = interval(value, kind, draws, level)
    floor, top = None, None
    null = null[~np.isnan(null)]
    if null.size:
        floor, top = float(null.mean()), float(np.quantile(null, 0.95, method="higher"))
    return Figure(value, low, high, floor, top)


def interval(
    value: float, kind: Kind, draws: Float[np.ndarray, " d"], level: float
) -> tuple[float | None, float | None]:
    """The percentile interval of `draws` (Efron 1979), for a biased figure moved so that the draws' mean is the value.

    A resample is noisier than its sample, and a calibration error grows with noise: the draws of a biased figure
    lie above the value, sometimes all of them. Moved back, they say how far the *score at this sample size* varies, which
    is what the null floor is held against. Kept within the ends of the scale. None where there are no draws.
    """
    draws = draws[~np.isnan(draws)]
    if draws.size == 0 or math.isnan(value):
        return None, None
    low, high = (float(q) for q in np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf"))
    shift = value - float(draws.mean()) if kind.biased else 0.0
    return min(max(low + shift, kind.lowest), kind.highest), min(max(high + shift, kind.lowest), kind.highest)
