"""The data of the reliability diagram and the risk–coverage curve, with bands."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Groups, as_clusters, as_confidences, as_outcomes
from trimtab.evaluation.calibration.binning import BINS, BinSums
from trimtab.evaluation.calibration.figure import LEVEL, interval
from trimtab.evaluation.calibration.measures import Drawn, Items, bins_of, ladder_of
from trimtab.evaluation.calibration.report import check_settings
from trimtab.evaluation.calibration.resampling import Measured, Resamples, generators, simulate
from trimtab.evaluation.calibration.resampling import bootstrap as resample
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
    sums = bins_of(items, every, items.correct[None, :])
    resampling, simulating = generators(seed)
    ways = resample(
        lambda counts: _accuracy(bins_of(items, counts, counts * items.correct)),
        items.clusters,
        n,
        bootstrap,
        resampling,
    )
    nulls = simulate(lambda outcomes: _accuracy(bins_of(items, every, outcomes)), items.confidence, null, simulating)
    count, accuracy = sums.count[0], _accuracy(sums)["share"][0]
    low, high = _wilson(accuracy, count, level)
    bootstrapped = _band(accuracy, ways, level)
    mean = np.divide(sums.confidence[0], count, out=np.full(bins, np.nan), where=count > 0)
    return Reliability(
        np.arange(bins + 1) / bins,
        count.astype(np.int64),
        mean,
        accuracy,
        np.fmin(low, bootstrapped[0]),
        np.fmax(high, bootstrapped[1]),
        *_null_band(nulls, bins, level),
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
    risk = _risk(items, every, items.correct[None, :])["share"][0]
    resampling, simulating = generators(seed)
    ways = resample(
        lambda counts: _risk(items, counts, counts * items.correct), items.clusters, n, bootstrap, resampling
    )
    nulls = simulate(lambda outcomes: _risk(items, every, outcomes), items.confidence, null, simulating)
    floor = nulls["share"].mean(axis=0) if nulls else np.full(len(COVERAGES), np.nan)
    return RiskCoverage(COVERAGES.copy(), risk, *_band(risk, ways, level), floor, level)


def _items(confidence: Any, correct: Any, groups: Groups, bootstrap: int, null: int, bins: int, level: float) -> Items:
    c = as_confidences(confidence)
    y = as_outcomes(correct, c.size)
    check_settings(bootstrap, null, bins, level)
    return Items.ordered(c, y, as_clusters(groups, c.size), bins)


def _accuracy(sums: BinSums) -> Measured:
    nothing = np.full(sums.correct.shape, np.nan)
    return {"share": np.divide(sums.correct, sums.count, out=nothing, where=sums.count > 0)}


def _risk(items: Items, counts: Drawn, right: Drawn) -> Measured:
    return {"share": risk_at(ladder_of(items, counts, right), COVERAGES)}


def _band(
    values: Float[np.ndarray, " points"], ways: list[Resamples], level: float
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The interval of each point; NaN where it has no value or nothing was drawn."""
    ends = np.full((2, len(values)), np.nan)
    for place, value in enumerate(values):
        low, high = interval(
            float(value), (0.0, 1.0), [(way.units, way.draws["share"][:, place]) for way in ways], level
        )
        if low is not None and high is not None:
            ends[:, place] = low, high
    return ends[0], ends[1]


def _null_band(
    nulls: Measured, bins: int, level: float
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Percentiles of the simulated accuracies of each bin; NaN in an empty one."""
    ends = np.full((2, bins), np.nan)
    for place, column in enumerate(nulls["share"].T if nulls else ()):
        if not np.isnan(column[0]):  # a bin is empty in all simulations or in none
            ends[:, place] = np.quantile(column, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    return ends[0], ends[1]


def _wilson(
    accuracy: Float[np.ndarray, " bins"], count: Float[np.ndarray, " bins"], level: float
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2)) ** 2 / np.maximum(count, 1)
    middle = (accuracy + z / 2) / (1 + z)
    half = np.sqrt(z * accuracy * (1 - accuracy) + z**2 / 4) / (1 + z)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
