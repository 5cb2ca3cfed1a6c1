"""Tests that may be evaluated after every pair: two e-processes and a confidence sequence.

An e-process starts at 1. Without an effect, the probability that it ever reaches 1/α is at most α (Ville 1939).
"""

import math
from functools import lru_cache

import numpy as np

from trimtab.evidence.arrays import LARGEST, Floats, Numbers, as_differences, scaled, unscaled

GRID = (0.125, 0.25, 0.5, 1.0, 2.0)
"""The λ of the sign-flip e-process; it multiplies a difference divided by the typical one."""

_LONGEST_ODDS = 1e300  # a difference this many times the typical one is clipped, so that sums stay finite
_SMALLEST_SQUARES = 1e-280  # below it squares lose digits


def t_e_values(differences: Numbers) -> Floats:
    """The t-e-process after each pair: E_n for n = 1 … N.

    E_n = ½[f(t; ν, √n) + f(t; ν, −√n)] / f(t; ν), f the density of Student's t with ν = n − 1 and the given noncentrality,
    t the paired t statistic: the likelihood ratio of the standardised effects ±1 against 0, which for normal differences
    of any SD is a test martingale (Lai 1976; Pérez-Ortiz and others 2024, E-statistics, group invariance and anytime-valid
    testing). E_1 = 1. Differences that are all 0 give 1; all equal and not 0 give the finite limit t → ∞. Raises DataError
    for an empty list or a value that is not finite.
    """
    d = as_differences(differences)
    first = int(np.flatnonzero(d)[0]) if d.any() else d.size
    values = [_exp(_log_e(n, float(share))) for n, share in enumerate(_shares(d), start=1)]
    return np.array([1.0] * first + values[first:])


def t_e_value(differences: Numbers) -> float:
    """The last of `t_e_values`."""
    d = as_differences(differences)
    return _exp(_log_e(d.size, float(_shares(d)[-1]))) if d.any() else 1.0


def t_confidence_sequence(differences: Numbers, alpha: float = 0.05) -> tuple[float, float]:
    """The means μ for which the t-e-process of the differences d − μ is below 1/α after the last pair.

    The intervals after every pair cover the true mean simultaneously with probability at least 1 − α (normal differences).
    (−inf, inf) while no E_n can reach 1/α, and for differences that are all equal and not 0; [0, 0] for ones that are all 0.
    Raises as `t_e_values`.
    """
    d = as_differences(differences)
    if not d.any():
        return 0.0, 0.0
    unit = float(np.abs(d).max())
    mean = float((d / unit).mean())
    spread = float(((d / unit - mean) ** 2).sum())
    limit = _share_reaching(d.size, -math.log(alpha))
    small = scaled(d)[0]
    if limit is None or np.ptp(small) <= 1e-9 * np.abs(small).max():
        return -math.inf, math.inf
    half = math.sqrt(limit / (1.0 - limit) * spread / d.size)
    low, high = unscaled(np.array([mean - half, mean + half]), unit).tolist()
    return low, high


def sign_flip_e_values(differences: Numbers) -> Floats:
    """The sign-flip e-process after each pair: the mean over λ in `GRID` and both signs of Π e^{±λ z_i} / cosh(λ z_i).

    It assumes only symmetry, not normality. z_i = d_i / s_i with s_i the median size of the non-zero differences
    *before* the i-th. s_i is computed from earlier pairs only; because d_i is symmetric without an effect, each factor has
    expectation 1 given the past. The first non-zero difference has no scale, so its factor is 1, as is that of a zero.
    Raises as `t_e_values`.
    """
    d = as_differences(differences)
    if np.abs(d).max() > LARGEST / 2:
        d = d / 2  # the mean of two such numbers, in a median, is beyond the largest float
    seen: list[float] = []
    logs = np.zeros(2 * len(GRID))
    stakes = np.concatenate([GRID, [-value for value in GRID]])
    values = []
    for difference in d.tolist():
        if difference and seen:
            bet = stakes * max(-_LONGEST_ODDS, min(difference / float(np.median(seen)), _LONGEST_ODDS))
            logs = logs + bet - (np.abs(bet) + np.log1p(np.exp(-2 * np.abs(bet))) - math.log(2.0))
        if difference:
            seen.append(abs(difference))
        peak = float(logs.max())
        values.append(_exp(peak) * float(np.exp(logs - peak).mean()))
    return np.array(values)


def _shares(d: Floats) -> Floats:
    """n · mean² / Σ d² after each pair, in [0, 1]: t² / (ν + t²), defined in every case; 0 if all are 0."""
    n = np.arange(1, d.size + 1)
    small = d / (np.abs(d).max() or 1.0)
    total, squares = np.cumsum(small), np.cumsum(small**2)
    shares: Floats = np.divide(total**2, n * squares, out=np.zeros(d.size), where=squares > 0)
    # A far larger difference follows these, so their squares are too small after scaling; they are scaled again on their own.
    for last in np.flatnonzero((squares < _SMALLEST_SQUARES) & (np.cumsum(d != 0) > 0)):
        first = scaled(d[: last + 1])[0]
        shares[last] = first.sum() ** 2 / (n[last] * (first**2).sum())
    return np.minimum(shares, 1.0)


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))  # 1e304 is large enough, and JSON has no infinity


def _log_e(n: int, share: float) -> float:
    """log E_n = −n/2 + log ₁F₁(n/2; ½; n·share/2).

    The even terms of the noncentral t density's power series (Johnson, Kotz and Balakrishnan 1995, ch. 31), all positive,
    summed in logarithms. This is exact up to rounding at any t; the ratio of two tiny densities is not.
    """
    from scipy.special import gammaln

    if share == 0.0:
        return -n / 2
    half, z = n / 2, n * share / 2
    j = np.arange(2 * n + 60)
    logs = gammaln(half + j) - gammaln(half) - gammaln(0.5 + j) + gammaln(0.5) - gammaln(1.0 + j) + j * math.log(z)
    peak = float(logs.max())
    return peak + math.log(float(np.exp(logs - peak).sum())) - half


@lru_cache(maxsize=4096)
def _share_reaching(n: int, log_threshold: float) -> float | None:
    """The share at which E_n reaches the threshold (E_n grows with it); None where even share 1 does not."""
    if _log_e(n, 1.0) < log_threshold:
        return None
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _log_e(n, middle) < log_threshold else (low, middle)
    return high
