"""The reliability histogram, accumulated batch by batch."""

import math
from typing import Any

import numpy as np

from trimtab.evaluation.calibration.arrays import as_confidences, as_outcomes
from trimtab.evaluation.calibration.binning import BINS, BinSums, calibration_error, width_bins


class ReliabilityBins:
    """The same equal-width bins as `calibration_report`, accumulated without storing the items."""

    def __init__(self, bins: int = BINS) -> None:
        if bins < 1:
            raise ValueError(f"bins should be at least 1; found {bins}.")
        self.bins = bins
        self._sums = np.zeros((3, bins))

    def add(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Add confidences in [0, 1] and whether each was right (0 or 1); empty arrays are allowed.

        Raises ValueError for unequal lengths, NaN, and values out of range.
        """
        if np.size(confidence) == 0 and np.size(correct) == 0:
            return
        c = as_confidences(confidence)
        y = as_outcomes(correct, c.size)
        index = width_bins(c, self.bins)
        for row, weights in enumerate((np.ones(c.size), c, y)):
            self._sums[row] += np.bincount(index, weights=weights, minlength=self.bins)

    def ece(self) -> float:
        """The expected calibration error in [0, 1]; NaN when nothing was added."""
        if self._sums[0].sum() == 0:
            return math.nan
        return float(calibration_error(BinSums(*self._sums[:, None, :]))[0])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: `bins`, and of each bin `count`, mean `confidence` and `accuracy` (None in an empty bin)."""
        count, confidence, correct = self._sums
        means = [
            [float(total / n) if n else None for total, n in zip(totals, count, strict=True)]
            for totals in (confidence, correct)
        ]
        return {"bins": self.bins, "count": [int(n) for n in count], "confidence": means[0], "accuracy": means[1]}
