"""How much of the differences between trials each key explains alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from trimtab.random import derive_seed
from trimtab.search.space import Choice, Space

FEWEST = 12
"""Fewer trials than this give no estimate."""
BINS = 4
"""Equal parts of a number's scale."""


@dataclass(frozen=True)
class Importance:
    """A key's share of the variance of the ranks, with the ends of a 90% bootstrap interval; `trials` used the key."""

    key: str
    share: float
    low: float
    high: float
    trials: int


def importances(
    space: Space, trials: Sequence[Mapping[str, Any]], values: Sequence[float], *, draws: int = 400, seed: int = 0
) -> list[Importance]:
    """The importance of every key that enough trials used, largest first.

    Values become ranks, so that a few diverged trials do not count for all. A key's trials are grouped by choice, or by four
    equal parts of its scale; the share of the variance between the groups is adjusted for chance (ε², Kelley 1935) and not
    below 0. It is a main effect: what a key does only in combination with others is not in it. A search that prefers some
    settings compares the rest on few trials, so the interval matters.
    """
    ranks = rankdata(np.nan_to_num(np.asarray(values, dtype=float), nan=np.inf))
    found = []
    for key, parameter in space.parameters.items():
        used = np.array([key in settings for settings in trials])
        if used.sum() < FEWEST:
            continue
        if isinstance(parameter, Choice):
            own = [int(parameter.coordinate(s[key]) * len(parameter.values)) for s in trials if key in s]
        else:
            own = [min(int(parameter.coordinate(s[key]) * BINS), BINS - 1) for s in trials if key in s]
        groups, y = np.array(own), ranks[used]
        random = np.random.Generator(np.random.PCG64(derive_seed(seed, "importance", key)))
        drawn = [explained(groups[i], y[i]) for i in random.integers(len(y), size=(draws, len(y)))]
        low, high = np.quantile(drawn, [0.05, 0.95])
        found.append(Importance(key, explained(groups, y), float(low), float(high), len(y)))
    return sorted(found, key=lambda one: -one.share)


def explained(groups: np.ndarray, y: np.ndarray) -> float:
    """The share of the variance of `y` between groups, adjusted for chance; 0 where it is less, or where there is one group."""
    total = float(((y - y.mean()) ** 2).sum())
    names = np.unique(groups)
    if total == 0.0 or not 1 < len(names) < len(y):
        return 0.0
    within = sum(float(((y[groups == name] - y[groups == name].mean()) ** 2).sum()) for name in names)
    return max(0.0, 1.0 - (within / (len(y) - len(names))) / (total / (len(y) - 1)))
