"""What is drawn: the reliability diagram and the risk–coverage curve, with bands."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Groups, as_clusters, as_confidences, as_outcomes
from trimtab.evaluation.calibration.binning import BINS, BinSums
from trimtab.evaluation.calibration.figure import LEVEL
from trimtab.evaluation.calibration.measures import Items, bins_of, ladder_of
from trimtab.evaluation.calibration.report import check_settings
from trimtab.evaluation.calibration.resampling import (
    bootstrap_counts,
    chunks,
    generators,
    resampled,
    simulated_outcomes,
)
from trimtab.evaluation.calibration.selective import risk_at

COVERAGES = np.arange(1, 21) / 20
"""The shares of the items at which risk is given."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: of each bin [edges[b], edges[b + 1]] its items, mean confidence and accuracy (NaN when empty).

    `low` and `high` are the interval of the accuracy: the wider, end by end, of the bootstrap's and Wilson's (1927), as a
    bootstrap of a bin in which all are right knows no doubt. A perfect predictor's accuracy stays between `null_low` and
    `null_high` (consistency bars, Bröcker and Smith 2007).
    """

    edges: Float[np.ndarray, " edges"]
    count: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    low: Float[np.ndarray, " bins"]
    high: Float[np.ndarray, " bins"]
    null_low: Float[np.ndarray, " bins"]
    null_high: Float[np.ndarray, " bins"]
    level: float


@dataclass(frozen=True)
class RiskCoverage:
    """The error rate (`risk`) of the most confident `coverage` of the items, its interval, and that of a perfect predictor."""

    coverage: Float[np.ndarray, " points"]
    risk: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]
    null_risk: Float[np.ndarray, " points"]
    level: float


def reliability_diagram(
    confidence: Any,
    correct: Any,
    *,
    groups: Groups = None,
    bootstrap: int = 1000,
    null: int = 1000,
    bins: int = BINS,
    level: float = LEVEL,
    seed: int,
) -> Reliability:
    """The bins of equal width of `confidence` [n] against `correct` [n], with bands; settings as `calibration_report`."""
    items = _items(confidence, correct, groups, bootstrap, null, bins, level)
    n = items.confidence.size
    every = np.ones((1, n))
    found = bins_of(items, every, items.correct[None, :])
    resampling, simulating = generators(seed)
    draws = [
        _accuracy(bins_of(items, counts, counts * items.correct))
        for size in chunks(bootstrap if resampled(items.clusters, n) else 0, n)
        for counts in [bootstrap_counts(n, items.clusters, size, resampling)]
    ]
    nulls = [
        _accuracy(bins_of(items, every, simulated_outcomes(items.confidence, size, simulating)))
        for size in chunks(null, n)
    ]
    count, accuracy = found.count[0], _accuracy(found)[0]
    low, high = _wilson(accuracy, count, level)
    bootstrapped = _band(draws, bins, level)
    mean = np.divide(found.confidence[0], count, out=np.full(bins, np.nan), where=count > 0)
    return Reliability(
        np.arange(bins + 1) / bins,
        count.astype(np.int64),
        mean,
        accuracy,
        np.fmin(low, bootstrapped[0]),
        np.fmax(high, bootstrapped[1]),
        *_band(nulls, bins, level),
        level,
    )


def risk_coverage(
    confidence: Any,
    correct: Any,
    *,
    groups: Groups = None,
    bootstrap: int = 1000,
    null: int = 1000,
    level: float = LEVEL,
    seed: int,
) -> RiskCoverage:
    """The risk at each of `COVERAGES` (El-Yaniv and Wiener 2010); items of equal confidence count in their mean order."""
    items = _items(confidence, correct, groups, bootstrap, null, 1, level)
    n = items.confidence.size
    every = np.ones((1, n))
    risk = risk_at(ladder_of(items, every, items.correct[None, :]), COVERAGES)[0]
    resampling, simulating = generators(seed)
    draws = [
        risk_at(ladder_of(items, counts, counts * items.correct), COVERAGES)
        for size in chunks(bootstrap if resampled(items.clusters, n) else 0, n)
        for counts in [bootstrap_counts(n, items.clusters, size, resampling)]
    ]
    nulls = [
        risk_at(ladder_of(items, every, simulated_outcomes(items.confidence, size, simulating)), COVERAGES)
        for size in chunks(null, n)
    ]
    points = len(COVERAGES)
    floor = np.concatenate(nulls).mean(axis=0) if nulls else np.full(points, np.nan)
    return RiskCoverage(COVERAGES.copy(), risk, *_band(draws, points, level), floor, level)


def _items(confidence: Any, correct: Any, groups: Groups, bootstrap: int, null: int, bins: int, level: float) -> Items:
    c = as_confidences(confidence)
    y = as_outcomes(correct, c.size)
    check_settings(bootstrap, null, bins, level)
    return Items.ordered(c, y, as_clusters(groups, c.size), bins)


def _accuracy(sums: BinSums) -> Float[np.ndarray, "samples bins"]:
    nothing = np.full(sums.correct.shape, np.nan)
    share: Float[np.ndarray, "samples bins"] = np.divide(sums.correct, sums.count, out=nothing, where=sums.count > 0)
    return share


def _band(
    draws: list[Float[np.ndarray, "samples bins"]], bins: int, level: float
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Percentiles of each column over the samples in which it has a value; NaN where it never has."""
    low, high = np.full(bins, np.nan), np.full(bins, np.nan)
    for place, column in enumerate(np.concatenate(draws).T if draws else ()):
        known = column[~np.isnan(column)]
        if known.size:
            low[place], high[place] = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    return low, high


def _wilson(
    accuracy: Float[np.ndarray, " bins"], count: Float[np.ndarray, " bins"], level: float
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2)) ** 2 / np.maximum(count, 1)
    middle = (accuracy + z / 2) / (1 + z)
    half = np.sqrt(z * accuracy * (1 - accuracy) + z**2 / 4) / (1 + z)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
