"""Predicted answer distributions compared with the exact ones, where a task knows them. No labels, so no label noise."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from trimtab.evaluation.calibration.arrays import Distributions, Groups, as_clusters, as_distributions
from trimtab.evaluation.calibration.binning import BINS, calibration_error
from trimtab.evaluation.calibration.figure import LEVEL, Ends, Figure, SampleReport, figures
from trimtab.evaluation.calibration.measures import Items, bins_of
from trimtab.evaluation.calibration.report import check_settings, cluster_counts
from trimtab.evaluation.calibration.resampling import bootstrap as resample
from trimtab.evaluation.calibration.resampling import generators

ENDS: dict[str, Ends] = {
    "kl": (0.0, np.inf),
    "total_variation": (0.0, 1.0),
    "ece_to_truth": (0.0, 1.0),
    "confidence_error": (0.0, 1.0),
    "confidence_bias": (-1.0, 1.0),
    "expected_accuracy": (0.0, 1.0),
}


@dataclass(frozen=True)
class DistributionReport(SampleReport):
    """How far distributions are from the exact ones.

    `kl`: mean KL(truth‖p) in nats, infinite where an answer that can be right got probability 0.
    `total_variation`: mean ½ Σ |p − truth|, in [0, 1]. With c the largest probability of an item and q the true probability
    of that option: `ece_to_truth` is Σ_b (n_b/N) |c̄_b − q̄_b| over bins of c; `confidence_error` the mean of |c − q|, which
    needs no bins; `confidence_bias` the mean of c − q, above 0 when confidence is too high; `expected_accuracy` the mean of q.
    A perfect predictor scores exactly 0 in all but the last.
    """

    kl: Figure
    total_variation: Figure
    ece_to_truth: Figure
    confidence_error: Figure
    confidence_bias: Figure
    expected_accuracy: Figure


def distribution_report(
    probabilities: Any,
    truth: Any,
    *,
    groups: Groups = None,
    bootstrap: int = 1000,
    bins: int = BINS,
    level: float = LEVEL,
    seed: int,
) -> DistributionReport:
    """The distance of `probabilities` [n, options] from the exact answer distributions `truth` [n, options].

    Items with fewer options than others are padded with zeros in both. The intervals are over items (or clusters: `groups`
    as in `calibration_report`), the only source of randomness in the figures. Raises ValueError for wrong or unequal shapes,
    no items, NaN, values outside [0, 1], and rows that do not sum to 1.
    """
    p, t = as_distributions(probabilities), as_distributions(truth, "truth")
    if p.shape != t.shape:
        raise ValueError(f"truth should have the shape of probabilities, {p.shape}; its shape is {t.shape}.")
    check_settings(bootstrap, 0, bins, level)
    n = len(p)
    chosen = p.argmax(axis=1)[:, None]
    c, q = (np.take_along_axis(x, chosen, axis=1)[:, 0] for x in (p, t))
    items = Items.ordered(c, q, as_clusters(groups, n), bins)
    order = np.argsort(c, kind="stable")  # the order of the items
    means = {name: x[order] for name, x in _by_item(p, t, c, q).items()}
    resampling, _ = generators(seed)
    ways = resample(lambda counts: _measure(items, means, counts), items.clusters, n, bootstrap, resampling)
    made = figures(_measure(items, means, np.ones((1, n))), ENDS, ways, {}, level)
    exact = {
        name: replace(figure, null_floor=0.0, null_high=0.0)
        for name, figure in made.items()
        if name != "expected_accuracy"
    }
    return DistributionReport(n, cluster_counts(items.clusters), bins, level, **(made | exact))


def _by_item(
    p: Distributions, t: Distributions, c: Float[np.ndarray, " n"], q: Float[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " n"]]:
    possible = t > 0
    missed = possible & (p == 0)
    ratio = np.divide(t, p, out=np.ones_like(t), where=possible & ~missed)
    kl = np.where(missed.any(axis=1), np.inf, (t * np.log(ratio)).sum(axis=1))
    return {
        "kl": np.maximum(kl, 0.0),  # Gibbs' inequality; a rounding error may be below 0
        "total_variation": np.abs(p - t).sum(axis=1) / 2,
        "confidence_error": np.abs(c - q),
        "confidence_bias": c - q,
        "expected_accuracy": q,
    }


def _measure(
    items: Items, means: dict[str, Float[np.ndarray, " n"]], counts: Float[np.ndarray, "samples n"]
) -> dict[str, Float[np.ndarray, " samples"]]:
    total = counts.sum(axis=1)
    measured = {}
    for name, values in means.items():
        infinite = np.isinf(values)
        mean = counts @ np.where(infinite, 0.0, values) / total
        measured[name] = np.where(counts @ infinite.astype(np.float64) > 0, np.inf, mean)
    measured["ece_to_truth"] = calibration_error(bins_of(items, counts, counts * items.correct))
    return measured
