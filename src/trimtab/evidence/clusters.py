"""The mean of many effects in few runs, with an interval whose unit is the run, not the intervention."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.errors import DataError
from trimtab.evidence.arrays import Numbers, as_differences, mean
from trimtab.evidence.intervals import estimates


@dataclass(frozen=True)
class ClusteredEffect:
    """A mean effect over clusters, its interval at `level` (None where it cannot be computed) and how it was weighted."""

    mean: float
    interval: tuple[float, float] | None
    level: float
    effects: int
    clusters: int
    sizes: tuple[int, ...]
    weights: str
    note: str


def clustered_interval(effects: Numbers, clusters: Sequence[Hashable], level: float = 0.95) -> ClusteredEffect:
    """The mean effect of interventions clustered by run, with the t interval over the cluster means.

    Every cluster has the same weight, whatever its size: the mean of the clusters' means, with k − 1 degrees of freedom for k
    clusters. It estimates the effect in an average run. The interval is exact if the cluster means are normal with equal
    variance. One cluster, or cluster means that are all equal and not 0, give no interval, as `note` says. Raises DataError for
    unequal lengths, an empty list or a value that is not finite.
    """
    values = as_differences(effects, "effects")
    if len(clusters) != values.size:
        raise DataError(f"Each effect needs its cluster: {values.size} effects, {len(clusters)} clusters.")
    names = list(dict.fromkeys(clusters))
    members = [np.array([cluster == name for cluster in clusters]) for name in names]
    means = np.array([mean(values[member]) for member in members])
    low, high = (float(end[0]) for end in estimates(means[None, :]).interval(level))
    interval: tuple[float, float] | None = (low, high)
    note = f"t interval over {len(names)} cluster means"
    if len(names) < 2:
        interval, note = None, "one cluster: how the effect varies between runs cannot be estimated, so no interval"
    elif not np.isfinite(low):
        interval, note = None, "the cluster means are all equal: their spread cannot be estimated, so no interval"
    sizes = tuple(int(member.sum()) for member in members)
    return ClusteredEffect(
        mean(means), interval, level, values.size, len(names), sizes, "every cluster counts once", note
    )
