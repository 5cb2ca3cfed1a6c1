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
"""A row a sample, or one row for all."""


@dataclass(frozen=True)
class Items:
    """Items in rising order of confidence; in that order every bin is a stretch, and summing over bins is one pass."""

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
        """Where the stretches begin that lie in one bin of every kind."""
        return _starts(np.stack(list(self.names.values())))

    @cached_property
    def levels(self) -> Int[np.ndarray, " levels"]:
        """Where the distinct confidences begin."""
        return _starts(self.confidence[None, :])


def measure(items: Items, counts: Drawn, correct: Drawn) -> dict[str, Float[np.ndarray, " samples"]]:
    """The figures of `ENDS` for each sample: `counts` says how often it holds each item, `correct` what came out.

    Either may be a single row that holds for all samples. The sums a bin are made in one pass over the items.
    """
    right = counts * correct
    found = _means(items, counts, right)
    stretches = [np.add.reduceat(values, items.starts, axis=1) for values in (counts, counts * items.confidence, right)]
    width, mass = (_binned(items, name, items.bins, stretches) for name in ("width", "mass"))
    found["ece"], found["ece_mass"] = calibration_error(width), calibration_error(mass)
    found["debiased_squared"] = debiased_squared_error(mass)
    found["debiased"] = np.sqrt(np.maximum(found["debiased_squared"], 0.0))
    found["reliability"], found["resolution"], found["uncertainty"] = decomposition(width)
    found["within_bins"] = found["brier"] - found["reliability"] + found["resolution"] - found["uncertainty"]
    grid = _binned(items, "cell", CELLS, stretches)
    found["smooth_ece"] = smooth_error((grid.confidence - grid.correct) / grid.total[:, None])
    ladder = ladder_of(items, counts, right)
    found["aurc"] = area_under_risk_coverage(ladder)
    found["excess_aurc"] = np.maximum(found["aurc"] - best_area(ladder), 0.0)  # a rounding error may be below 0
    return {name: found[name] for name in ENDS}


def ladder_of(items: Items, counts: Drawn, right: Drawn) -> Ladder:
    """The distinct confidences from the highest down, with their items and errors in each sample."""
    held = np.add.reduceat(np.broadcast_to(counts, right.shape), items.levels, axis=1)[:, ::-1]
    return Ladder(held, held - np.add.reduceat(right, items.levels, axis=1)[:, ::-1])


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


def _lost(held: Drawn, probability: Confidences) -> Float[np.ndarray, " samples"]:
    """Σ held · −log probability; infinite where something held had no probability."""
    impossible = probability == 0
    finite: Float[np.ndarray, " samples"] = held @ -np.log(np.where(impossible, 1.0, probability))
    return np.where(held @ impossible.astype(np.float64) > 0, np.inf, finite)


def _binned(items: Items, name: str, bins: int, stretches: list[np.ndarray]) -> BinSums:
    """Sums a stretch as sums a bin: stretches of one bin lie side by side."""
    of_stretch = items.names[name][items.starts]
    first = _starts(of_stretch[None, :])
    samples = max(len(values) for values in stretches)
    made = []
    for values in stretches:
        found = np.zeros((samples, bins))
        found[:, of_stretch[first]] = np.add.reduceat(values, first, axis=1)
        made.append(found)
    return BinSums(*made)


def _starts(rows: np.ndarray) -> Int[np.ndarray, " starts"]:
    """The places where any of the rows changes, the first place with them."""
    return np.flatnonzero(np.concatenate([[True], (rows[:, 1:] != rows[:, :-1]).any(axis=0)]))
