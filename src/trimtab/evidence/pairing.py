"""From results to differences: pairs, several futures of one trunk, ties, and pairs without any difference."""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from trimtab.errors import DataError
from trimtab.evidence.arrays import Floats, Numbers, as_differences, mean
from trimtab.evidence.intervals import Scale, TInterval, t_interval

Pairing = Literal["seed", "fork"]
"""Runs with the same seed from the first step on, or futures of one saved state. The estimands differ."""


def paired_differences(baseline: Numbers, treatment: Numbers, scale: Scale = "plain") -> Floats:
    """Treatment − baseline pair by pair, in the metric's units; on the log scale log(treatment / baseline).

    Raises DataError for unequal lengths, for values that are not finite, and for values that are not above 0 on the log
    scale.
    """
    first, second = as_differences(baseline, "baseline's values"), as_differences(treatment, "treatment's values")
    if first.size != second.size:
        raise DataError(
            f"The arms should be paired: the baseline has {first.size} values, the treatment {second.size}."
        )
    if scale != "log":
        return _subtracted(first, second)
    if min(first.min(), second.min()) <= 0:
        raise DataError(
            f"A log-scale claim needs values above 0; found {min(first.min(), second.min()):g}. Plan a plain or trimmed claim."
        )
    # log1p of the relative change: equal values give exactly 0, and nearby ones lose no digits.
    with np.errstate(over="ignore"):
        change = (second - first) / first
    far = ~np.isfinite(change) | (change < -1 + 1e-6)
    ratios: Floats = np.where(far, np.log(second) - np.log(first), np.log1p(np.where(far, 0.0, change)))
    return ratios


def _subtracted(first: Floats, second: Floats) -> Floats:
    with np.errstate(over="ignore"):
        differences: Floats = second - first
    if not np.isfinite(differences).all():
        place = int(np.flatnonzero(~np.isfinite(differences))[0])
        raise DataError(
            f"Pair {place + 1} of {differences.size} ({first[place]:g} and {second[place]:g}) is further apart than the largest "
            "number, 1.8e308. Divide the metric by a constant."
        )
    return differences


def trunk_means(differences: Numbers, trunks: Sequence[Hashable]) -> tuple[tuple[Hashable, ...], Floats]:
    """The mean difference of each trunk's futures, with the trunks in order of first appearance.

    With fork pairs the trunk is the unit: futures of one trunk share its state and are not independent of each other.
    Raises DataError for unequal lengths.
    """
    d = as_differences(differences)
    if len(trunks) != d.size:
        raise DataError(f"Each difference needs its trunk: {d.size} differences, {len(trunks)} trunks.")
    places: dict[Hashable, list[int]] = {}
    for place, trunk in enumerate(trunks):
        places.setdefault(trunk, []).append(place)
    return tuple(places), np.array([mean(d[own]) for own in places.values()])


def treatment_wins(differences: Numbers, higher_is_better: bool) -> float:
    """P(treatment wins): the share of pairs in which the treatment is better, a tie counting half."""
    d = as_differences(differences)
    wins = d > 0 if higher_is_better else d < 0
    return float((wins + 0.5 * (d == 0)).mean())


def given_action(differences: Numbers, level: float = 0.95, scale: Scale = "plain") -> TInterval | None:
    """The effect given action: the t interval over the pairs whose difference is not 0; None when there are none.

    For arms that act in some seeds only (a controller that never fired leaves a difference of exactly 0). Report it
    in addition to the overall effect, never instead: which pairs acted is itself an outcome.
    """
    d = as_differences(differences)
    acted = d[d != 0]
    return t_interval(acted, level, scale) if acted.size else None
