"""A figure (a number that is reported) with its interval and its null floor, and reports made of figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from trimtab.evaluation.calibration.binning import BINS
from trimtab.evaluation.calibration.resampling import Measured, Resamples

LEVEL = 0.95
"""The default level of intervals."""

Ends = tuple[float, float]
"""The lowest and the highest possible value of a figure."""


@dataclass(frozen=True)
class Figure:
    """A figure, its bootstrap interval, and what a perfect predictor would score.

    `null_floor` is the mean score, at this sample size and with these confidences, of a predictor that is perfectly
    calibrated, and `null_high` the 95% quantile of its scores. A field is None if it was not computed; the interval also if there
    is nothing to resample.
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


@dataclass(frozen=True)
class Report:
    """Base of the reports: dataclasses of figures, counts and further reports."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the counts, and value, low, high, null_floor and null_high of each figure."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Figure | Report):
        return value.as_dict()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class SampleReport(Report):
    """Base of the reports on a sample of items.

    `clusters` is the number of clusters, one entry per clustering variable; None for independent items.
    """

    items: int
    clusters: tuple[int, ...] | None
    bins: int
    level: float

    @classmethod
    def unknown(cls, items: int) -> Self:
        """The report on values that are not finite: every figure is NaN."""
        names = [field.name for field in fields(cls) if field.type in (Figure, "Figure")]
        return cls(items, None, BINS, LEVEL, **{name: Figure(math.nan) for name in names})


def figures(
    values: Measured, ends: dict[str, Ends], ways: Sequence[Resamples], nulls: Measured, level: float
) -> dict[str, Figure]:
    """The figures named in `ends`, from their `values` (one sample), resamples and simulated scores."""
    made = {}
    for name, limits in ends.items():
        value = float(values[name][0])
        low, high = interval(value, limits, [(way.units, way.draws[name]) for way in ways], level)
        null = nulls[name][~np.isnan(nulls[name])] if nulls else np.empty(0)
        floor = float(null.mean()) if null.size else None
        top = float(np.quantile(null, 0.95, method="higher")) if null.size else None
        made[name] = Figure(value, low, high, floor, top)
    return made


def interval(
    value: float, ends: Ends, ways: Sequence[tuple[int, Float[np.ndarray, " draws"]]], level: float
) -> tuple[float, float] | tuple[None, None]:
    """The interval of a figure from its draws in each way of resampling (`bootstrap`), kept between `ends`.

    The percentiles of the draws (Efron 1979), shifted so that their mean equals the value. A resample is noisier than its
    sample, and a calibration error grows with noise, so the unshifted draws lie above the value, sometimes all of them. The
    shifted draws show how much the score *at this sample size* varies; the null floor is for the same sample size.

    The interval is widened by √(units / (units − 1)) and by the ratio of t to normal quantiles with units − 1 degrees of freedom
    (Hesterberg 2015, the expanded percentile interval), because a few clusters estimate the spread poorly.

    With two clusterings the variance is var₁ + var₂ − var(intersection) (Cameron, Gelbach and Miller 2011), but at least
    max(var₁, var₂). The degrees of freedom are Satterthwaite's; the draws of the clustering with the larger variance give the
    shape.

    Returns (None, None) if the value is NaN, nothing was resampled, or all draws of a clustering are NaN. If any draw is
    infinite, returns plain percentiles.
    """
    from scipy.special import ndtri, stdtrit

    known = [(units, draws[~np.isnan(draws)]) for units, draws in ways]
    if math.isnan(value) or not known or any(draws.size == 0 for _, draws in known):
        return None, None
    quantiles = [0.5 - level / 2, 0.5 + level / 2]
    if not all(np.isfinite(draws).all() for _, draws in known):
        low, high = np.quantile(
            max(known, key=lambda way: np.isinf(way[1]).mean())[1], quantiles, method="inverted_cdf"
        )
        return float(low), float(high)
    spread = [float(draws.var()) * units / (units - 1) for units, draws in known]
    if max(spread[:2]) == 0:
        return value, value
    widest = int(np.argmax(spread[:2]))
    variance, freedom = spread[0], known[0][0] - 1.0
    if len(known) > 1:
        variance = max(spread[0] + spread[1] - spread[2], spread[widest])
        shares = [v / variance for v in spread[:2]]  # the square of a tiny variance is 0
        freedom = 1 / sum(one**2 / (units - 1) for one, (units, _) in zip(shares, known, strict=False))
    draws = known[widest][1]
    stretch = math.sqrt(variance / float(draws.var())) * float(stdtrit(freedom, quantiles[1]) / ndtri(quantiles[1]))
    low, high = (np.quantile(draws, quantiles, method="inverted_cdf") - draws.mean()) * stretch
    # A few odd draws can pull the mean past a percentile; the value still lies in its interval.
    return max(value + min(float(low), 0.0), ends[0]), min(value + max(float(high), 0.0), ends[1])
