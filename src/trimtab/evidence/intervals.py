"""The t interval of a mean difference, plain or trimmed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trimtab.evidence.arrays import Floats, Numbers, as_differences, scaled, standard_deviation, unscaled

Scale = Literal["plain", "trimmed", "log"]
"""What is averaged: differences, differences without the most extreme fifth at either end, or differences of logarithms."""

TRIM = 0.2
"""The share trimmed from either end (Wilcox's default), rounded down to whole pairs."""

_FLAT = 1e-9  # a spread below this share of the largest difference is rounding


@dataclass(frozen=True)
class Estimates:
    """Means of many experiments at once: `mean`, its standard error `se` (arrays with one entry per experiment) and `df`.

    `se` is inf where no spread can be estimated: one pair, or differences that are all equal and not 0. Differences that
    are all 0 have se 0.
    """

    mean: Floats
    se: Floats
    df: int

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Lower and upper ends of the two-sided t interval at `level` in (0, 1)."""
        from scipy.special import stdtrit

        half = unscaled(self.se, float(stdtrit(max(self.df, 1), 0.5 + level / 2)))
        with np.errstate(over="ignore"):
            return self.mean - half, self.mean + half

    def p_values(self) -> Floats:
        """Two-sided p values of the t test of mean 0; 1 where the mean is 0 or no spread can be estimated."""
        from scipy.special import stdtr

        t = np.divide(self.mean, self.se, out=np.zeros_like(self.mean), where=self.se > 0)
        p: Floats = np.minimum(1.0, 2.0 * stdtr(max(self.df, 1), -np.abs(t)))
        return p


@dataclass(frozen=True)
class TInterval:
    """A mean difference with its two-sided t interval at `level` and the p value of mean 0; `sd` is the pairs' SD."""

    n: int
    mean: float
    sd: float
    low: float
    high: float
    level: float
    p_value: float


def estimates(differences: Floats, scale: Scale = "plain") -> Estimates:
    """Mean and standard error of each row of `differences` (experiments × pairs).

    'plain' and 'log' (rows of log differences): mean and SD / √n, n − 1 degrees of freedom. 'trimmed': the mean without
    the ⌊n/5⌋ smallest and largest, with the standard error s_w / ((h/n) √n) from the winsorised SD s_w and h − 1 degrees
    of freedom, where h pairs are left (Tukey and McLaughlin 1963). This is an approximation: the measured coverage of its 95%
    interval is .935 to .943 for 6 to 20 normal differences.
    """
    count = differences.shape[1]
    small, unit = scaled(differences)
    ordered = np.sort(small, axis=1)
    cut = int(TRIM * count) if scale == "trimmed" else 0
    core = ordered[:, cut : count - cut]
    winsorised = np.clip(ordered, core[:, :1], core[:, -1:])
    se = np.full(len(differences), np.inf)
    if count > 1:
        spread = winsorised.std(axis=1, ddof=1) * np.sqrt(count) / core.shape[1]
        se = np.where(np.ptp(winsorised, axis=1) > _FLAT * np.abs(winsorised).max(axis=1), spread, np.inf)
    se = np.where(small.any(axis=1), se, 0.0)
    return Estimates(unscaled(core.mean(axis=1), unit[:, 0]), unscaled(se, unit[:, 0]), core.shape[1] - 1)


def t_interval(differences: Numbers, level: float = 0.95, scale: Scale = "plain") -> TInterval:
    """The two-sided t interval of the mean difference (Student 1908), or of the trimmed mean (`estimates`).

    Where no spread can be estimated (one pair; differences all equal to nine digits and not 0) the interval is
    (−inf, inf) and p is 1: equal differences come from copies or rounding and do not predict the next pair.
    Differences that are all 0 give [0, 0] and p 1. Raises DataError for an empty list or a value that is not finite.
    """
    d = as_differences(differences)
    estimate = estimates(d[None, :], scale)
    low, high = estimate.interval(level)
    sd = standard_deviation(d) if d.size > 1 else float("nan")
    return TInterval(
        d.size, float(estimate.mean[0]), sd, float(low[0]), float(high[0]), level, float(estimate.p_values()[0])
    )
