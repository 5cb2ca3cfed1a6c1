"""What comes in: one-dimensional arrays of finite numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import DataError

Floats = NDArray[np.float64]
Numbers = Sequence[float] | Floats
"""Anything that becomes a one-dimensional array of floats."""


def as_differences(values: Numbers, what: str = "differences") -> Floats:
    """`values` as a one-dimensional float64 array of at least one number.

    Raises DataError for another shape, an empty array, or a value that is not finite, which it names by its place
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
