"""The calibration report of confidences against outcomes."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trimtab.evaluation.calibration.arrays import Groups, as_clusters, as_confidences, as_outcomes
from trimtab.evaluation.calibration.binning import BINS
from trimtab.evaluation.calibration.figure import LEVEL, Figure, SampleReport, figures
from trimtab.evaluation.calibration.measures import ENDS, Items, measure
from trimtab.evaluation.calibration.resampling import bootstrap as resample
from trimtab.evaluation.calibration.resampling import generators, simulate


@dataclass(frozen=True)
class CalibrationReport(SampleReport):
    """The calibration figures of a set of confidences.

    `overconfidence` is mean confidence minus accuracy; `debiased` is the root of `debiased_squared`, 0 where that is negative;
    `nll` is in nats; `brier` = `reliability` − `resolution` + `uncertainty` + `within_bins`.
    """

    accuracy: Figure
    mean_confidence: Figure
    overconfidence: Figure
    ece: Figure
    ece_mass: Figure
    debiased_squared: Figure
    debiased: Figure
    smooth_ece: Figure
    brier: Figure
    reliability: Figure
    resolution: Figure
    uncertainty: Figure
    within_bins: Figure
    nll: Figure
    aurc: Figure
    excess_aurc: Figure


def calibration_report(
    confidence: Any,
    correct: Any,
    *,
    groups: Groups = None,
    bootstrap: int = 1000,
    null: int = 1000,
    bins: int = BINS,
    level: float = LEVEL,
    seed: int,
) -> CalibrationReport:
    """The figures of `confidence` [n], the probabilities given that the answers are right, against `correct` [n], 0 or 1.

    Intervals come from `bootstrap` resamples of the items, or of whole clusters where `groups` names each item's cluster
    (an array with two columns clusters in two ways at once, by seeds and by prompts). All resamples use the bins of the whole
    sample. Null floors come from `null` simulations in which each item is right with the probability of its confidence,
    independently of the others. 0 leaves intervals or floors out. The same seed gives the same report.

    Raises ValueError for wrong shapes, no items, NaN, confidences outside [0, 1], outcomes other than 0 and 1, no bins, or a
    level outside (0, 1).
    """
    c = as_confidences(confidence)
    y = as_outcomes(correct, c.size)
    check_settings(bootstrap, null, bins, level)
    items = Items.ordered(c, y, as_clusters(groups, c.size), bins)
    every, correct = np.ones((1, c.size)), items.correct[None, :]
    resampling, simulating = generators(seed)
    ways = resample(lambda counts: measure(items, counts, correct), items.clusters, c.size, bootstrap, resampling)
    nulls = simulate(lambda outcomes: measure(items, every, outcomes), items.confidence, null, simulating)
    made = figures(measure(items, every, correct), ENDS, ways, nulls, level)
    squared = made["debiased_squared"]
    # The interval is the root of the squared figure's: the draws of the root are all above 0, so their interval would be too.
    made["debiased"] = replace(made["debiased"], low=_root(squared.low), high=_root(squared.high))
    return CalibrationReport(c.size, cluster_counts(items.clusters), bins, level, **made)


def _root(squared: float | None) -> float | None:
    return None if squared is None else math.sqrt(max(squared, 0.0))


def check_settings(bootstrap: int, null: int, bins: int, level: float) -> None:
    """Raise ValueError for settings out of range."""
    if bins < 1:
        raise ValueError(f"bins should be at least 1; found {bins}.")
    if bootstrap < 0 or null < 0:
        raise ValueError(f"bootstrap and null should be 0 or more; found {bootstrap} and {null}.")
    if not 0 < level < 1:
        raise ValueError(f"level should lie between 0 and 1; found {level}.")


def cluster_counts(clusters: np.ndarray | None) -> tuple[int, ...] | None:
    """The number of clusters of each clustering."""
    return None if clusters is None else tuple(int(way.max()) + 1 for way in clusters.T)
