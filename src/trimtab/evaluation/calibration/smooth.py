"""Smooth calibration error: a kernel instead of bins, with a bandwidth chosen from the data."""

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Confidences

CELLS = 1000
"""Cells of [0, 1] in which residuals are summed: they shift a confidence by at most 0.0005, far below the bandwidths."""

_NARROWEST, _HALVINGS = 1e-3, 13
_POINTS = (50, 100, 200, 400)


def cells(confidence: Confidences) -> Int[np.ndarray, " n"]:
    """The cell of each confidence."""
    return np.minimum((confidence * CELLS).astype(np.int64), CELLS - 1)


def smooth_error(residuals: Float[np.ndarray, "samples cells"]) -> Float[np.ndarray, " samples"]:
    """smECE of each row of summed residuals c − y by cell, over the number of items (Błasiok and Nakkiran 2023).

    smECE_σ = ∫₀¹ |(1/N) Σ_i (c_i − y_i) K_σ(t, c_i)| dt with the Gaussian kernel reflected at 0 and 1; the value is that at
    the bandwidth σ* where smECE_σ* = σ*, which exists and is unique as smECE_σ falls with σ. Found by bisection down to
    1e-3, below which σ is not narrowed. It is above 0 for a calibrated predictor too.
    """
    # The reflected kernel is diagonal in cosines, as heat in an insulated rod: the k-th shrinks by exp(−(πkσ)²/2).
    from scipy.fft import dct

    spectrum = dct(residuals, axis=1, norm="ortho")
    low, high = np.full(len(residuals), _NARROWEST), np.ones(len(residuals))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _at(spectrum, middle) > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    error: Float[np.ndarray, " samples"] = np.minimum(_at(spectrum, (low + high) / 2), 1.0)
    return error  # it is 1 at most; a sum of many terms may round above


def _at(
    spectrum: Float[np.ndarray, "samples cells"], sigma: Float[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    from scipy.fft import idct

    # Three points a bandwidth: waves shorter than two points are below e^−40 there, and the sum is as good as the integral.
    full = spectrum.shape[1]
    points = next((n for n in _POINTS if n * float(sigma.min()) >= 3), full)
    waves = (np.pi * np.arange(points)) ** 2 / 2
    smoothed = idct(spectrum[:, :points] * np.exp(-waves * sigma[:, None] ** 2), axis=1, norm="ortho")
    error: Float[np.ndarray, " samples"] = np.abs(smoothed).sum(axis=1) * np.sqrt(full / points)
    return error
