"""Capping the metrics of diverged runs at the untrained model's: such runs are results and are never dropped."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import DataError
from trimtab.evidence.arrays import Floats, Numbers


@dataclass(frozen=True)
class Capped:
    """The values after capping, which runs count as diverged, and how many."""

    values: Floats
    diverged: NDArray[np.bool_]
    count: int


def cap(
    values: Numbers,
    diverged: NDArray[np.bool_] | list[bool],
    untrained: Numbers | float,
    higher_is_better: bool | None,
) -> Capped:
    """Cap diverged runs at the untrained model's metric, in the metric's units.

    A run counts as diverged where `diverged` says so or its value is not finite. It gets the untrained model's value if
    its own is worse or not finite, and keeps a better one; where no direction is known (`higher_is_better` None) it gets
    the untrained model's. `untrained` is one value, or one per run. Raises DataError where a diverged run has no finite
    untrained value.
    """
    metrics = np.asarray(values, dtype=np.float64)
    flags = np.asarray(diverged, dtype=np.bool_) | ~np.isfinite(metrics)
    floor = np.broadcast_to(np.asarray(untrained, dtype=np.float64), metrics.shape)
    if missing := np.flatnonzero(flags & ~np.isfinite(floor)).tolist():
        raise DataError(
            f"Run {missing[0] + 1} of {metrics.size} diverged (its value is {metrics[missing[0]]:g}) and there is no finite "
            "metric of the untrained model to cap it at. Give one: a diverged run is counted, never dropped."
        )
    finite = np.where(np.isfinite(metrics), metrics, floor)
    better = np.minimum if higher_is_better is False else np.maximum
    capped = floor if higher_is_better is None else better(finite, floor)
    return Capped(np.where(flags, capped, metrics), flags, int(flags.sum()))
