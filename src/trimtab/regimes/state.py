"""The state that a controller sees at a step, and how to read it back from the records."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Regime = Literal["warming", "stable", "plateau", "overfitting", "unstable", "diverged"]


@dataclass(frozen=True)
class UpdateSize:
    """The size of an update: its L2 norm, that norm relative to the parameters', and the relative norm of each layer."""

    norm: float = math.nan
    ratio: float = math.nan
    layers: dict[str, float] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether all parameters stayed finite."""
        return math.isfinite(self.norm)


@dataclass(frozen=True)
class RegimeState:
    """What a controller sees at a step: computed after the gradient norm is known and before the update.

    `train_loss` is the value of the loss that is trained on, in its own unit (nats per token for cross-entropy).
    `loss_volatility` and `loss_volatility_medium` are its standard deviation over the monitor's two horizons. `loss_z` and
    `grad_norm_z` are robust z-scores: the distance from the median of the values that were not flagged, in units of 1.4826 times
    their median absolute deviation. `grad_share_over` is the share of the last horizon's steps whose gradient norm was above the
    monitor's threshold. `param_update_norm`, `update_ratio` (the norm of the update over that of the parameters) and
    `layer_update_ratios` belong to the step before. `val_loss` is that of the last evaluation and `best_val_loss` the lowest so
    far, NaN before the first; after a rewind both are those of the restored weights. Averages leave out non-finite values.
    """

    step: int
    train_loss: float
    loss_ema: float
    loss_volatility: float
    grad_norm: float
    grad_norm_ema: float
    param_update_norm: float
    activation_stats: dict[str, dict[str, float]] = field(default_factory=dict)
    anomaly_flags: tuple[str, ...] = ()
    loss_volatility_medium: float = math.nan
    loss_z: float = 0.0
    grad_norm_z: float = 0.0
    grad_share_over: float = 0.0
    update_ratio: float = math.nan
    layer_update_ratios: dict[str, float] = field(default_factory=dict)
    val_loss: float = math.nan
    best_val_loss: float = math.nan
    regime: Regime = "warming"

    COLUMNS: ClassVar = (
        "train_loss",
        "loss_ema",
        "loss_volatility",
        "loss_volatility_medium",
        "loss_z",
        "grad_norm",
        "grad_norm_ema",
        "grad_norm_z",
        "grad_share_over",
        "regime",
    )
    """The fields that every row of `steps.jsonl` has, under the same names."""


def observations(rows: Iterable[Mapping[str, Any]]) -> Iterator[RegimeState]:
    """The states that a run's controller saw, from the rows of its `steps.jsonl`, beginning with its first step.

    A row holds the size of its own step's update, which belongs to the next state. Activation figures and validation losses
    are in a row only when they are new.
    """
    update = UpdateSize()
    activations: dict[str, dict[str, float]] = {}
    val_loss = best = math.nan
    for row in rows:
        activations = row.get("activation_stats", activations)
        val_loss = row.get("val_loss", val_loss)
        best = row.get("best_val_loss", best)
        yield RegimeState(
            step=row["step"],
            activation_stats=activations,
            anomaly_flags=tuple(row.get("anomaly_flags", ())),
            param_update_norm=update.norm,
            update_ratio=update.ratio,
            layer_update_ratios=update.layers,
            val_loss=val_loss,
            best_val_loss=best,
            **{name: row[name] for name in RegimeState.COLUMNS},
        )
        layers = row.get("layer_update_ratios", update.layers)
        update = UpdateSize(row["param_update_norm"], row["update_ratio"], layers)
