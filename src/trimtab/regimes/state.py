"""What is observed of a run at a step."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RegimeState:
    """The observation that a controller decides on, made after the gradient norm is known and before the update.

    `train_loss` is in nats a token; `loss_volatility` is the standard deviation of the loss over the monitor's horizon;
    `param_update_norm` is that of the step before. Averages leave out what is not finite.
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
