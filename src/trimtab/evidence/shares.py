"""Shares: how far the share that was seen may lie from the true one."""

import math

from trimtab.errors import DataError


def wilson_interval(hits: float, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) interval of a probability of which `hits` of `trials` were seen.

    Its coverage is near `level` on average also where the share is 0 or 1, where the interval of the normal approximation has no
    width. `hits` need not be whole: a trial may be the mean of several looks at one thing. Raises DataError for no trials and
    for hits that are not among them.
    """
    from scipy.special import ndtri

    if trials < 1 or not 0 <= hits <= trials:
        raise DataError(f"A share takes 0 to n hits in n trials, n at least 1; found {hits:g} in {trials}.")
    square = float(ndtri(0.5 + level / 2)) ** 2 / trials
    share = hits / trials
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    # at the ends the formula gives 0 and 1 up to rounding
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == trials else middle + half)
