"""Intervals of a probability, from the number of hits in a number of trials."""

import math

from trimtab.errors import DataError


def wilson_interval(hits: float, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) interval of a probability, from `hits` in `trials`.

    Its mean coverage is near `level`. At 0 and at `trials` hits it still has a width, unlike the interval of the normal
    approximation. `hits` need not be whole: a trial may be the mean of several measurements. Raises DataError for no trials and
    for hits outside 0 to `trials`.
    """
    from scipy.special import ndtri

    if trials < 1 or not 0 <= hits <= trials:
        raise DataError(f"A probability needs 0 to n hits in n trials, with n at least 1; found {hits:g} in {trials}.")
    square = float(ndtri(0.5 + level / 2)) ** 2 / trials
    share = hits / trials
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    # at the ends the formula gives 0 and 1, but for rounding
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == trials else middle + half)


def binomial_interval(hits: int, draws: int, level: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson (1934) interval of a probability, from `hits` in `draws`: its coverage is at least `level`."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(hits, draws - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, draws - hits, 1 - tail)) if hits < draws else 1.0
    return low, high
