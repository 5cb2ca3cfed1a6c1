"""Every figure of confidences against outcomes, for many samples at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Clusters, Confidences
from trimtab.evaluation.calibration.binning import (
    BinSums,
    calibration_error,
    debiased_squared_error,
    decomposition,
    mass_bins,
    width_bins,
)
from trimtab.evaluation.calibration.figure import Ends
from trimtab.evaluation.calibration.selective import Ladder, area_under_risk_coverage, best_area
from trimtab.evaluation.calibration.smooth import CELLS, cells, smooth_error

ENDS: dict[str, Ends] = {
    "accuracy": (0.0, 1.0),
    "mean_confidence": (0.0, 1.0),
    "overconfidence": (-1.0, 1.0),
    "ece": (0.0, 1.0),
    "ece_mass": (0.0, 1.0),
    "debiased_squared": (-1.0, 1.0),
    "debiased": (0.0, 1.0),
    "smooth_ece": (0.0, 1.0),
    "brier": (0.0, 1.0),
    "reliability": (0.0, 1.0),
    "resolution": (0.0, 0.25),
    "uncertainty": (0.0, 0.25),
    "within_bins": (-1.0, 1.0),
    "nll": (0.0, np.inf),
    "aurc": (0.0, 1.0),
    "excess_aurc": (0.0, 1.0),
}
"""The figures by name, in the order of the report, with the ends of their scales."""

Drawn = Float[np.ndarray, "#samples n"]
"""One row per sample, or one row for all."""


@dataclass(frozen=True)
class Items:
    """Items in ascending order of confidence. In that order each bin is contiguous, so summing over bins takes one pass."""

    confidence: Confidences
    correct: Confidences
    clusters: Clusters | None
    bins: int

    @classmethod
    def ordered(cls, confidence: Confidences, correct: Confidences, clusters: Clusters | None, bins: int) -> "Items":
        """Items in any order."""
        order = np.argsort(confidence, kind="stable")
        return cls(confidence[order], correct[order], None if clusters is None else clusters[order], bins)

    @cached_property
    def names(self) -> dict[str, Int[np.ndarray, " n"]]:
        """Of every item its bin of equal width, its bin of equal mass, and its cell of the smooth error."""
        return {
            "width": width_bins(self.confidence, self.bins),
            "mass": mass_bins(self.confidence, self.bins),
            "cell": cells(self.confidence),
        }

    @cached_property
    def starts(self) -> Int[np.ndarray, " stretches"]:
        """The starts of the runs of items that share a bin of every kind."""
        return _starts(np.stack(list(self.names.values())))

    @cached_property
    def levels(self) -> Int[np.ndarray, " levels"]:
        """The starts of the runs of equal confidences."""
        return _starts(self.confidence[None, :])


def measure(items: Items, counts: Drawn, correct: Drawn) -> dict[str, Float[np.ndarray, " samples"]]:
    """The figures of `ENDS` for each sample: `counts` is how often each item occurs in it, `correct` the outcomes.

    Either may be a single row that holds for all samples. The sums per bin are made in one pass over the items.
    """
    right = counts * correct
    measured = _means(items, counts, right)
    stretches = [np.add.reduceat(values, items.starts, axis=1) for values in (counts, counts * items.confidence, right)]
    width, mass = (_binned(items, name, items.bins, stretches) for name in ("width", "mass"))
    measured["ece"], measured["ece_mass"] = calibration_error(width), calibration_error(mass)
    measured["debiased_squared"] = debiased_squared_error(mass)
    measured["debiased"] = np.sqrt(np.maximum(measured["debiased_squared"], 0.0))
    measured["reliability"], measured["resolution"], measured["uncertainty"] = decomposition(width)
    measured["within_bins"] = (
        measured["brier"] - measured["reliability"] + measured["resolution"] - measured["uncertainty"]
    )
    grid = _binned(items, "cell", CELLS, stretches)
    measured["smooth_ece"] = smooth_error((grid.confidence - grid.correct) / grid.total[:, None])
    ladder = ladder_of(items, counts, right)
    measured["aurc"] = area_under_risk_coverage(ladder)
    measured["excess_aurc"] = np.maximum(measured["aurc"] - best_area(ladder), 0.0)  # a rounding error may be below 0
    return {name: measured[name] for name in ENDS}


def ladder_of(items: Items, counts: Drawn, right: Drawn) -> Ladder:
    """The distinct confidences from the highest down, with their items and errors in each sample."""
    drawn = np.add.reduceat(np.broadcast_to(counts, right.shape), items.levels, axis=1)[:, ::-1]
    return Ladder(drawn, drawn - np.add.reduceat(right, items.levels, axis=1)[:, ::-1])


def bins_of(items: Items, counts: Drawn, right: Drawn) -> BinSums:
    """The bins of equal width of each sample."""
    stretches = [np.add.reduceat(values, items.starts, axis=1) for values in (counts, counts * items.confidence, right)]
    return _binned(items, "width", items.bins, stretches)


def _means(items: Items, counts: Drawn, right: Drawn) -> dict[str, Float[np.ndarray, " samples"]]:
    total = counts.sum(axis=1)
    c = items.confidence
    accuracy = right.sum(axis=1) / total
    confidence = np.broadcast_to(counts @ c / total, accuracy.shape)
    brier = (counts @ c**2 + right @ (1 - 2 * c)) / total
    return {
        "accuracy": accuracy,
        "mean_confidence": confidence,
        "overconfidence": confidence - accuracy,
        "brier": brier,
        "nll": (_lost(right, c) + _lost(counts - right, 1 - c)) / total,
    }


def _lost(drawn: Drawn, probability: Confidences) -> Float[np.ndarray, " samples"]:
    """Σ drawn · −log probability; infinite where an outcome that was drawn had probability 0."""
    impossible = probability == 0
    finite: Float[np.ndarray, " samples"] = drawn @ -np.log(np.where(impossible, 1.0, probability))
    return np.where(drawn @ impossible.astype(np.float64) > 0, np.inf, finite)


def _binned(items: Items, name: str, bins: int, stretches: list[np.ndarray]) -> BinSums:
    """Sums per bin, from sums per run of items; the runs of a bin are adjacent."""
    of_stretch = items.names[name][items.starts]
    first = _starts(of_stretch[None, :])
    samples = max(len(values) for values in stretches)
    made = []
    for values in stretches:
        measured = np.zeros((samples, bins))
        measured[:, of_stretch[first]] = np.add.reduceat(values, first, axis=1)
        made.append(measured)
    return BinSums(*made)


def _starts(rows: np.ndarray) -> Int[np.ndarray, " starts"]:
    """The indices at which any of the rows changes, and 0."""
    return np.flatnonzero(np.concatenate([[True], (rows[:, 1:] != rows[:, :-1]).any(axis=0)]))
