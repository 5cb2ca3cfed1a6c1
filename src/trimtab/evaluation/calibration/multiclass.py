"""The calibration of whole distributions over a few classes against labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Distributions, Groups, as_clusters, as_distributions, as_labels
from trimtab.evaluation.calibration.binning import BINS, BinSums, calibration_error, decomposition, width_bins
from trimtab.evaluation.calibration.figure import LEVEL, Ends, Figure, Report, figures
from trimtab.evaluation.calibration.report import CalibrationReport, calibration_report, check_settings
from trimtab.evaluation.calibration.resampling import bootstrap as resample
from trimtab.evaluation.calibration.resampling import generators, simulate_labels

ENDS: dict[str, Ends] = {
    "classwise_ece": (0.0, 1.0),
    "brier": (0.0, 2.0),
    "reliability": (0.0, 2.0),
    "resolution": (0.0, 1.0),
    "uncertainty": (0.0, 1.0),
    "within_bins": (-2.0, 2.0),
    "nll": (0.0, np.inf),
}


@dataclass(frozen=True)
class MulticlassReport(Report):
    """The figures of distributions over classes; `top` is the report on the most likely class alone.

    `classwise_ece` is the mean over classes of the expected calibration error of that class's probability (Nixon et al.
    2019; Kull et al. 2019). `brier` sums the squares over classes, so it lies in [0, 2] (Brier 1950), and so
    do its parts. `nll` is in nats.
    """

    classes: int
    top: CalibrationReport
    classwise_ece: Figure
    brier: Figure
    reliability: Figure
    resolution: Figure
    uncertainty: Figure
    within_bins: Figure
    nll: Figure


def multiclass_report(
    probabilities: Any,
    labels: Any,
    *,
    groups: Groups = None,
    bootstrap: int = 1000,
    null: int = 1000,
    bins: int = BINS,
    level: float = LEVEL,
    seed: int,
) -> MulticlassReport:
    """The figures of `probabilities` [n, classes] against `labels` [n], whole numbers from 0.

    Settings as for `calibration_report`; null floors draw each label from its item's own probabilities. The first of equally
    likely classes is the top one. Intended for few classes: time and memory grow with n · classes.

    Raises ValueError for wrong shapes, no items, NaN, probabilities outside [0, 1] or not summing to 1, and labels
    that are no class.
    """
    p = as_distributions(probabilities)
    y = as_labels(labels, *p.shape)
    clusters = as_clusters(groups, len(p))
    check_settings(bootstrap, null, bins, level)
    top = calibration_report(
        p.max(axis=1), p.argmax(axis=1) == y, groups=groups, bootstrap=bootstrap, null=null, bins=bins, level=level, seed=seed
    )  # fmt: skip
    table, every = _Table.of(p, bins), np.ones((1, len(p)))
    resampling, simulating = generators(seed)
    ways = resample(lambda counts: _measure(table, counts, y[None, :]), clusters, len(p), bootstrap, resampling)
    nulls = simulate_labels(lambda labels: _measure(table, every, labels), p, null, simulating)
    made = figures(_measure(table, every, y[None, :]), ENDS, ways, nulls, level)
    return MulticlassReport(p.shape[1], top, **made)


@dataclass(frozen=True)
class _Table:
    """Probabilities with the bin of each: class k's bins are k·bins to (k + 1)·bins − 1."""

    p: Distributions
    index: Int[np.ndarray, "n classes"]
    bins: int

    @classmethod
    def of(cls, p: Distributions, bins: int) -> "_Table":
        return cls(p, width_bins(p, bins) + bins * np.arange(p.shape[1]), bins)

    def summed(self, values: Distributions, counts: Float[np.ndarray, "samples n"]) -> Float[np.ndarray, "samples all"]:
        """Σ count · value over the items of each class's bins."""
        from scipy.sparse import csr_array

        n, classes = self.p.shape
        where = (np.repeat(np.arange(n), classes), self.index.ravel())
        matrix = csr_array((values.ravel(), where), shape=(n, classes * self.bins))
        sums: Float[np.ndarray, "samples all"] = (matrix.T @ counts.T).T
        return sums


def _measure(
    table: _Table, counts: Float[np.ndarray, "#samples n"], labels: Int[np.ndarray, "#samples n"]
) -> dict[str, Float[np.ndarray, " samples"]]:
    """The figures of each sample, from either one row of counts and many of labels or the other way round."""
    n, classes = table.p.shape
    samples = max(len(counts), len(labels))
    total = counts.sum(axis=1)
    count = table.summed(np.ones_like(table.p), counts)
    confidence = table.summed(table.p, counts)
    cells = classes * table.bins
    if len(labels) == 1:
        # 1 in the label's class of each row, 0 elsewhere.
        own = np.zeros_like(table.p)
        own[np.arange(n), labels[0]] = 1.0
        correct = table.summed(own, counts)
    else:
        drawn = np.take_along_axis(table.index[None], labels[:, :, None], axis=2)[:, :, 0]
        drawn = drawn + cells * np.arange(len(labels))[:, None]
        correct = np.bincount(drawn.ravel(), minlength=len(labels) * cells).reshape(len(labels), cells).astype(float)
    shape = (samples, classes, table.bins)
    made = [np.broadcast_to(x, (samples, cells)).reshape(shape) for x in (count, confidence, correct)]
    each = [BinSums(*(x[:, k] for x in made)) for k in range(classes)]
    parts = [sum(terms) for terms in zip(*map(decomposition, each), strict=True)]
    chosen = np.take_along_axis(table.p[None], labels[:, :, None], axis=2)[:, :, 0]
    squares = (table.p**2).sum(axis=1) + 1 - 2 * chosen
    impossible = chosen == 0
    nll = (counts * -np.log(np.where(impossible, 1.0, chosen))).sum(axis=1) / total
    measured = {
        "classwise_ece": np.mean([calibration_error(sums) for sums in each], axis=0),
        "brier": (counts * squares).sum(axis=1) / total,
        "reliability": parts[0],
        "resolution": parts[1],
        "uncertainty": parts[2],
        "nll": np.where((counts * impossible).sum(axis=1) > 0, np.inf, nll),
    }
    measured["within_bins"] = measured["brier"] - parts[0] + parts[1] - parts[2]
    return measured
