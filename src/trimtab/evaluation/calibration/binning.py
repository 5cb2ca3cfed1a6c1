"""Binning by width or mass, and the sums of each bin."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Confidences

Samples = Float[np.ndarray, " samples"]

BINS = 15
"""The default number of bins (Guo et al. 2017)."""


def width_bins(confidence: Float[np.ndarray, "*any"], bins: int = BINS) -> Int[np.ndarray, "*any"]:
    """The bin of each confidence in [0, 1] among `bins` of equal width: [i/bins, (i + 1)/bins), the last one closed.

    The one rule of the project: 0 lies in the first bin and 1 in the last.
    """
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def mass_bins(confidence: Confidences, bins: int = BINS) -> Int[np.ndarray, " n"]:
    """The bin of each confidence among `bins` of about equal counts, by rank.

    Equal confidences lie in one bin, that of their mean rank, so the order of the items does not matter; bins can
    then be empty.
    """
    _, place, count = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2  # mean rank from 0
    return np.minimum((middle + 0.5) * bins / len(confidence), bins - 1).astype(np.int64)[place]


@dataclass(frozen=True)
class BinSums:
    """Counts, summed confidences and summed outcomes of each bin, one row per sample (or one row for all samples)."""

    count: Float[np.ndarray, "#samples bins"]
    confidence: Float[np.ndarray, "#samples bins"]
    correct: Float[np.ndarray, "#samples bins"]

    @property
    def total(self) -> Samples:
        """Items of each sample."""
        total: Samples = self.count.sum(axis=1)
        return total


def calibration_error(sums: BinSums) -> Samples:
    """Expected calibration error Σ_b (n_b/N) |c̄_b − ȳ_b| (Naeini et al. 2015; Guo et al. 2017, equation 3), in [0, 1]."""
    error: Samples = np.abs(sums.confidence - sums.correct).sum(axis=1) / sums.total
    return error


def debiased_squared_error(sums: BinSums) -> Samples:
    """Debiased squared calibration error Σ_b (n_b/N) [(c̄_b − ȳ_b)² − ȳ_b(1 − ȳ_b)/(n_b − 1)].

    Kumar et al. 2019, section 5. The second term is what chance alone adds to the first, so a calibrated predictor scores 0
    on average, and as often below as above. In a bin of one item, chance and error cannot be separated: such bins are
    left out, of N as well. NaN where no bin has two items.
    """
    usable = sums.count > 1
    count = np.where(usable, sums.count, 2.0)
    gap = (sums.confidence - sums.correct) / count
    accuracy = sums.correct / count
    terms = np.where(usable, sums.count * (gap**2 - accuracy * (1 - accuracy) / (count - 1)), 0.0)
    used = np.where(usable, sums.count, 0.0).sum(axis=1)
    error: Samples = np.divide(terms.sum(axis=1), used, out=np.full(len(used), np.nan), where=used > 0)
    return error


def decomposition(sums: BinSums) -> tuple[Samples, ...]:
    """Reliability, resolution and uncertainty of the Brier score over bins (Murphy 1973).

    Σ_b (n_b/N) (c̄_b − ȳ_b)², Σ_b (n_b/N) (ȳ_b − ȳ)² and ȳ(1 − ȳ). Brier = reliability − resolution + uncertainty + what
    varies within bins: (1/N) Σ (c − c̄_b)² − (2/N) Σ (c − c̄_b)(y − ȳ_b) (Stephenson et al. 2008), 0 where all
    confidences of a bin are equal.
    """
    count = np.maximum(sums.count, 1e-300)  # an empty bin has sums of 0
    share = sums.count / sums.total[:, None]
    base = sums.correct.sum(axis=1) / sums.total
    reliability = (share * ((sums.confidence - sums.correct) / count) ** 2).sum(axis=1)
    resolution = (share * (sums.correct / count - base[:, None]) ** 2).sum(axis=1)
    return reliability, resolution, base * (1 - base)
