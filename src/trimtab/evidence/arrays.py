"""Input as one-dimensional arrays of finite numbers, and arithmetic on them that does not overflow."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import DataError

Floats = NDArray[np.float64]
Numbers = Sequence[float] | Floats
"""Anything that becomes a one-dimensional array of floats."""

LARGEST = float(np.finfo(np.float64).max)
"""The largest float; larger results are clipped to it."""


def as_differences(values: Numbers, what: str = "differences") -> Floats:
    """`values` as a one-dimensional float64 array of at least one number.

    Raises DataError for another shape, an empty array, or a value that is not finite, which it names by its position
    (counted from 1).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"The {what} should be a list of at least one number; found the shape {array.shape}.")
    if not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array))[0])
        raise DataError(
            f"The {what} should be finite; number {place + 1} of {array.size} is {array[place]}. "
            "Cap the metric of a diverged run at the untrained model's (trimtab.evidence.cap) before pairing."
        )
    return array


def scaled(values: Floats) -> tuple[Floats, Floats]:
    """`values` with magnitudes below 2 along the last axis, and the unit (kept as an axis) that they were divided by.

    The unit is a power of two, so nothing is rounded, except values that are negligible beside the largest. Sums and squares of
    the result have the same mantissas as those of `values`, and do not overflow. Multiply back with `unscaled`.
    """
    largest = np.abs(values).max(axis=-1, keepdims=True)
    unit = np.ldexp(1.0, np.frexp(largest)[1] - 1)
    return values / unit, unit


def unscaled(values: Floats, unit: Floats | float) -> Floats:
    """`values` · `unit`, where finite values stay finite: a product beyond the largest float becomes that float."""
    with np.errstate(over="ignore"):
        product = values * unit
    clipped: Floats = np.where(np.isfinite(values), np.clip(product, -LARGEST, LARGEST), values)
    return clipped


def mean(values: Floats) -> float:
    """The mean of a one-dimensional array."""
    small, unit = scaled(values)
    return float(unscaled(small.mean(), unit)[0])


def standard_deviation(values: Floats) -> float:
    """The standard deviation of at least two numbers, with n − 1 in the denominator."""
    small, unit = scaled(values)
    return float(unscaled(small.std(ddof=1), unit)[0])


def root_mean_square(values: Floats) -> float:
    """The root of the mean of the squares of a one-dimensional array."""
    small, unit = scaled(values)
    return float(unscaled(np.sqrt(np.mean(np.square(small))), unit)[0])
