"""The sign-flip test: if the arms are exchangeable within pairs, all sign patterns of the differences are equally likely."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trimtab.evidence.arrays import Floats, Numbers, as_differences

EXACT_UP_TO = 20
"""Non-zero differences up to which all 2^m sign patterns are counted."""

RANDOM_FLIPS = 100_000
"""Random sign patterns for more differences."""

_TOLERANCE = 1e-9  # of Σ|d|: sums that differ only by rounding count as equal, which can only raise p
_CHUNK = 5_000_000


@dataclass(frozen=True)
class SignFlip:
    """Two-sided p value, how many differences were not 0, and how it was counted (`flips` patterns)."""

    p_value: float
    nonzero: int
    method: Literal["exact", "random"]
    flips: int


def sign_flip_test(differences: Numbers, *, seed: int = 0) -> SignFlip:
    """The two-sided sign-flip test of 'the differences are symmetric around 0' (Fisher 1935, The Design of Experiments).

    p is the share of sign patterns whose |Σ ±d| reaches the observed |Σ d|. Zeros have no sign: the test counts the
    non-zero differences, and with none of them p = 1. Up to 20 of them all patterns are counted; above, 100,000 random
    ones drawn from `seed`, with p = (1 + hits) / (1 + 100,000) so that it is never 0 and never too small (Phipson and
    Smyth 2010). Raises DataError for an empty list or a value that is not finite.
    """
    d = as_differences(differences)
    d = d[d != 0]
    if d.size == 0:
        return SignFlip(1.0, 0, "exact", 1)
    p = float(sign_flip_p_values(d[None, :], seed=seed)[0])
    exact = d.size <= EXACT_UP_TO
    return SignFlip(p, d.size, "exact" if exact else "random", 2**d.size if exact else RANDOM_FLIPS)


def sign_flip_p_values(differences: Floats, *, seed: int = 0) -> Floats:
    """`sign_flip_test` of each row of `differences` (experiments × pairs), p values alone.

    A zero in a row changes no sum, so it leaves the share of patterns as it is. Rows of more than 20 pairs share one set
    of random patterns.
    """
    magnitudes = np.abs(differences)
    largest = magnitudes.max(axis=1, keepdims=True)
    magnitudes = magnitudes / np.where(largest > 0, largest, 1.0)
    observed = np.abs((np.sign(differences) * magnitudes).sum(axis=1)) - _TOLERANCE * magnitudes.sum(axis=1)
    count = differences.shape[1]
    if count > EXACT_UP_TO:
        return _random(magnitudes, observed, seed)
    return _enumerated(magnitudes, observed) if count <= 12 else _in_halves(magnitudes, observed)


def clip_magnitudes(differences: Floats, share: float) -> Floats:
    """Each row with its ⌊share · n⌋ largest magnitudes clipped to the next one, with their signs.

    Which values are clipped, and to what, depends on magnitudes alone, which a flip of signs leaves as they are: the
    sign-flip test of the clipped differences is as exact as that of the raw ones, and a single outlier does not decide it.
    """
    count = differences.shape[1]
    magnitudes = np.abs(differences)
    bound = np.sort(magnitudes, axis=1)[:, count - 1 - int(share * count)]
    clipped: Floats = np.sign(differences) * np.minimum(magnitudes, bound[:, None])
    return clipped


def _sums(magnitudes: Floats) -> Floats:
    """Per row, Σ ±m over all 2^k sign patterns."""
    sums = np.zeros((magnitudes.shape[0], 1))
    for column in magnitudes.T:
        sums = np.concatenate([sums + column[:, None], sums - column[:, None]], axis=1)
    return sums


def _enumerated(magnitudes: Floats, observed: Floats) -> Floats:
    rows = max(1, _CHUNK >> magnitudes.shape[1])
    parts = [
        (np.abs(_sums(magnitudes[start : start + rows])) >= observed[start : start + rows, None]).mean(axis=1)
        for start in range(0, len(magnitudes), rows)
    ]
    return np.concatenate(parts)


def _in_halves(magnitudes: Floats, observed: Floats) -> Floats:
    """All patterns, counted without enumeration: each sum is one of the first half plus one of the second half.

    By symmetry a pattern's sum reaches T as often as -T; the two tails are told apart as long as T > 0.
    """
    half = magnitudes.shape[1] // 2
    first, second = _sums(magnitudes[:, :half]), np.sort(_sums(magnitudes[:, half:]), axis=1)
    total = 2.0 ** magnitudes.shape[1]
    p = np.ones(len(magnitudes))
    for row in np.flatnonzero(observed > 0):
        below = np.searchsorted(second[row], observed[row] - first[row], side="left")
        p[row] = min(1.0, 2.0 * float((second.shape[1] - below).sum()) / total)
    return p


def _random(magnitudes: Floats, observed: Floats, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    hits = np.zeros(len(magnitudes))
    step = max(1, min(RANDOM_FLIPS, _CHUNK // max(magnitudes.shape)))
    for start in range(0, RANDOM_FLIPS, step):
        rows = min(step, RANDOM_FLIPS - start)
        signs = 2.0 * generator.integers(0, 2, size=(rows, magnitudes.shape[1])) - 1.0
        hits += (np.abs(signs @ magnitudes.T) >= observed).sum(axis=0)
    p: Floats = (1.0 + hits) / (1.0 + RANDOM_FLIPS)
    return p
