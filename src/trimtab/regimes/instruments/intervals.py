"""An interval for the mean of a correlated series."""

import math
from collections.abc import Sequence

BLOCKS = 10
SMALLEST_BLOCK = 5


def batch_means_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """A Student interval for the mean of a stationary series, from the means of ten equal blocks in a row.

    Blocks much longer than the correlation time have nearly independent, nearly normal means (the method of batch means;
    Schmeiser 1982 on the number of blocks). Values that fill no block are left out from the start of the series. None below
    five values per block, or where one is not finite.
    """
    size = len(values) // BLOCKS
    if size < SMALLEST_BLOCK or not all(map(math.isfinite, values)):
        return None
    from scipy.special import stdtrit

    used = list(values)[len(values) - BLOCKS * size :]
    means = [math.fsum(used[start : start + size]) / size for start in range(0, len(used), size)]
    middle = math.fsum(means) / BLOCKS
    error = math.sqrt(math.fsum((mean - middle) ** 2 for mean in means) / (BLOCKS - 1) / BLOCKS)
    reach = float(stdtrit(BLOCKS - 1, (1 + confidence) / 2)) * error
    return middle - reach, middle + reach
