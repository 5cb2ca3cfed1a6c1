"""Whether paired differences have tails too heavy for a t interval."""

from dataclasses import dataclass

import numpy as np

from trimtab.evidence.arrays import Floats, Numbers, as_differences, scaled

# fmt: off
THRESHOLDS: dict[int, float] = {
    6: 0.2108, 7: 0.1945, 8: 0.1809, 9: 0.1678, 10: 0.1572, 11: 0.1479, 12: 0.1391, 13: 0.1323,
    14: 0.1254, 15: 0.1199, 16: 0.1143, 17: 0.1094, 18: 0.1045, 19: 0.1006, 20: 0.0964,
    25: 0.0814, 30: 0.0704, 40: 0.0559, 60: 0.0399, 100: 0.0254, 200: 0.0136, 500: 0.0058,
}
# fmt: on
"""Pairs → the measure that 5% of normal samples exceed: `simulated_threshold(n)` (20,000 draws above 60)."""

FEWEST = 6
"""With fewer pairs the shape cannot be judged, and no tail is called heavy."""


@dataclass(frozen=True)
class Tail:
    """`measure` in [0, 1], 0 for a perfectly normal sample, None where it has no meaning; `heavy` when it is too large."""

    measure: float | None
    heavy: bool


def tail(differences: Numbers) -> Tail:
    """The tail of the differences: 1 − W′ of Shapiro and Francia (1972), and whether it is heavy.

    Heavy: the measure is above what 5% of normal samples of that size exceed, and the kurtosis is not on the light side
    (at least 0.8 of a normal sample's, so a uniform or a two-valued sample passes). Skewed and long-tailed samples both
    bend the normal plot that W′ measures, without an estimate of median or MAD.

    Measured rates of 'heavy', 20,000 samples per cell, `heavy_rows` on np.random.default_rng(3) in the order of the table
    (a ± below .004). Under 10 pairs most heavy tails are missed, so a low measure there does not show a light tail.

    | n | normal | uniform | lognormal | difference of two lognormals | t, 2 degrees |
    | --- | --- | --- | --- | --- | --- |
    | 6 | .044 | .040 | .31 | .21 | .18 |
    | 8 | .049 | .033 | .46 | .30 | .25 |
    | 10 | .048 | .030 | .57 | .37 | .33 |
    | 12 | .051 | .025 | .67 | .45 | .39 |
    | 16 | .048 | .021 | .82 | .55 | .49 |
    | 20 | .047 | .016 | .90 | .65 | .58 |

    None and False for under 6 pairs and for differences that are all equal. Raises DataError for an empty list or a value
    that is not finite.
    """
    d = scaled(as_differences(differences))[0]
    if d.size < FEWEST or np.ptp(d) <= 1e-9 * np.abs(d).max():
        return Tail(None, False)
    measure, heavy = heavy_rows(d[None, :])
    return Tail(float(measure[0]), bool(heavy[0]))


def heavy_rows(differences: Floats) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """`tail` of each row (experiments × pairs, at least 6 pairs): the measures and the flags. An even row measures 0."""
    n = differences.shape[1]
    differences = scaled(differences)[0]
    centred = differences - differences.mean(axis=1, keepdims=True)
    largest = np.abs(centred).max(axis=1, keepdims=True)
    even = largest[:, 0] <= 1e-9 * np.abs(differences).max(axis=1)
    centred = centred / np.where(largest > 0, largest, 1.0)
    squares = np.where(even, 1.0, (centred**2).sum(axis=1))
    measure = np.where(even, 0.0, 1.0 - (np.sort(centred, axis=1) @ _scores(n)) ** 2 / squares)
    kurtosis = n * (centred**4).sum(axis=1) / squares**2
    heavy = ~even & (measure > threshold(n)) & (kurtosis >= 0.8 * 3 * (n - 1) / (n + 1))
    return measure, heavy


def threshold(n: int) -> float:
    """The measure above which n differences are called heavy: `THRESHOLDS`, interpolated in logarithms, level beyond."""
    known = sorted(THRESHOLDS)
    return float(np.exp(np.interp(np.log(n), np.log(known), np.log([THRESHOLDS[key] for key in known]))))


def simulated_threshold(n: int, draws: int = 200_000, seed: int = 20) -> float:
    """The 95% quantile of the measure over `draws` normal samples of n: how `THRESHOLDS` was made."""
    generator = np.random.default_rng(seed)
    rows = 2_000_000 // n
    scores, parts, left = _scores(n), [], draws
    while left > 0:
        sample = generator.normal(size=(min(rows, left), n))
        sample -= sample.mean(axis=1, keepdims=True)
        parts.append(1.0 - (np.sort(sample, axis=1) @ scores) ** 2 / (sample**2).sum(axis=1))
        left -= rows
    return float(np.quantile(np.concatenate(parts), 0.95))


def _scores(n: int) -> Floats:
    """Blom's (1958) approximation of the expected order statistics of n normal values, at unit length."""
    from scipy.special import ndtri

    scores: Floats = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    scores /= np.sqrt((scores**2).sum())
    return scores
