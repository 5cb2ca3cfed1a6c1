"""What evaluations have found of the weights that a run goes on with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trimtab.config import EarlyStopping


@dataclass(frozen=True)
class Evaluated:
    """The findings of a run's evaluations; `after` makes the next ones. Losses are in nats a token.

    `best_loss` and `best_step` are the lowest validation loss and its step, whose checkpoint is kept; `reference_loss` is
    what early stopping asks a gain over, and `without_gain` counts the evaluations in a row that brought none; `latest`
    holds the newest figures. None and {} before the first evaluation.

    These are statements about weights, so a rewind takes them back together with the weights: after it they are what they
    were at the snapshot. The evaluations of the passage that was given up are of weights that no longer exist; their
    checkpoints are dropped, so none of them may stay the best, be asked to be beaten, or count against patience. What is
    learnt from the steps themselves (averages, windows, flags) goes on, as the data does.
    """

    best_loss: float | None = None
    best_step: int | None = None
    reference_loss: float | None = None
    without_gain: int = 0
    latest: Mapping[str, Any] = field(default_factory=dict)

    def after(self, step: int, figures: Mapping[str, Any], early: EarlyStopping | None) -> "Evaluated":
        """With an evaluation after `step`, whose `figures` include `val_loss`; one that is not finite is no gain."""
        loss = float(figures["val_loss"])
        finite = math.isfinite(loss)
        found = replace(self, without_gain=self.without_gain + 1, latest=dict(figures))
        gain = early.minimum_gain if early is not None else 0.0
        if finite and (self.reference_loss is None or loss < self.reference_loss - gain):
            found = replace(found, without_gain=0, reference_loss=loss)
        if finite and (self.best_loss is None or loss < self.best_loss):
            found = replace(found, best_loss=loss, best_step=step)
        return found
