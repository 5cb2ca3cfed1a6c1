"""What the evaluations so far say of the weights that a run continues with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from trimtab.config import EarlyStopping
from trimtab.records.metrics import Metric


@dataclass(frozen=True)
class Evaluated:
    """The evaluations of a run, summed up.

    `best_value` is the best value of the metric `best_metric`, and `best_step` the step of that evaluation, whose checkpoint is
    kept. Early stopping goes by `stopping_metric`: `reference` is the value that an evaluation must improve on, and
    `without_gain` counts the evaluations in a row that did not. `latest` holds the newest figures. None and {} before the
    first evaluation.

    All of this is about weights, so a rewind restores it together with the weights. The checkpoints of the abandoned attempt
    are dropped, so none of its evaluations may stay the best, or count for early stopping. What the monitor learns from steps
    (averages, windows, flags) continues through a rewind, as the data does.
    """

    best_metric: str | None = None
    best_value: float | None = None
    best_step: int | None = None
    stopping_metric: str | None = None
    reference: float | None = None
    without_gain: int = 0
    latest: Mapping[str, Any] = field(default_factory=dict)

    def with_best(self, step: int, figures: Mapping[str, Any], metric: Metric) -> "Evaluated":
        """After an evaluation at `step`: the best one by `metric`, which starts again where the metric is a new one."""
        own = self if self.best_metric == metric.name else replace(self, best_value=None, best_step=None)
        own = replace(own, best_metric=metric.name)
        value = _value(figures, metric.name)
        if value is None or not isfinite(value) or not (own.best_value is None or metric.better(value, own.best_value)):
            return own
        return replace(own, best_value=value, best_step=step)

    def with_gain(self, figures: Mapping[str, Any], metric: Metric, early: EarlyStopping | None) -> "Evaluated":
        """After an evaluation: the count for early stopping. A value that is not finite is not a gain.

        An evaluation that does not measure the metric changes nothing: there may be fewer task evaluations than evaluations.
        """
        own = self if self.stopping_metric == metric.name else replace(self, reference=None, without_gain=0)
        own = replace(own, stopping_metric=metric.name)
        value = _value(figures, metric.name)
        if value is None:
            return own
        gain = early.minimum_gain if early is not None else 0.0
        if isfinite(value) and (own.reference is None or metric.better(value, own.reference, gain)):
            return replace(own, reference=value, without_gain=0)
        return replace(own, without_gain=own.without_gain + 1)


def _value(figures: Mapping[str, Any], name: str) -> float | None:
    """The number under a dotted name, or None."""
    value: Any = figures
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
