"""What a learned policy sees of a step: bounded numbers, the same from a running controller and from the records."""

import math

import numpy as np
from jaxtyping import Float

from trimtab.config import EpisodeConfig
from trimtab.regimes.actions import Recent
from trimtab.regimes.state import RegimeState

FEATURES = (
    "loss_z",
    "grad_norm_z",
    "loss_over_ema",
    "grad_norm_over_ema",
    "volatility_over_medium",
    "grad_share_over",
    "update_over_usual",
    "val_loss_over_best",
    "loss_spike",
    "gradient_spike",
    "flagged_in_a_row",
    "lr_factor",
    "warming",
    "plateau",
    "overfitting",
    "unstable",
)
"""Their order is that of the tensors in a policy. The regime `stable` is where all regimes named here are 0."""


def features(state: RegimeState, episode: EpisodeConfig, recent: Recent) -> Float[np.ndarray, " f"]:
    """The features of a step, in the order of `FEATURES`.

    Z-scores are compressed by asinh. Ratios are natural logarithms, and 0 where a part is missing, not finite or not positive.
    `lr_factor` is relative to its first value. `recent` has already observed the step.
    """
    flags = state.anomaly_flags
    values = [
        _compressed(state.loss_z),
        _compressed(state.grad_norm_z),
        _log_ratio(state.train_loss, state.loss_ema, 3.0),
        _log_ratio(state.grad_norm, state.grad_norm_ema, 5.0),
        _log_ratio(state.loss_volatility, state.loss_volatility_medium, 3.0),
        state.grad_share_over,
        _log_ratio(state.update_ratio, recent.usual_update, 5.0),
        _log_ratio(state.val_loss, state.best_val_loss, 1.0),
        float("loss_spike" in flags or "nonfinite_loss" in flags),
        float("gradient_spike" in flags or "nonfinite_gradient" in flags),
        math.log1p(recent.flagged),
        _log_ratio(episode.lr_factor, recent.base_rate, 3.0),
        *(float(state.regime == regime) for regime in ("warming", "plateau", "overfitting", "unstable")),
    ]
    return np.array(values, dtype=np.float64)


def _compressed(z: float) -> float:
    """asinh of a z-score within ±100; a value that is not finite counts as 100."""
    return math.asinh(min(max(z, -100.0), 100.0) if math.isfinite(z) else 100.0)


def _log_ratio(value: float, reference: float, bound: float) -> float:
    if not (math.isfinite(value) and math.isfinite(reference) and value > 0 and reference > 0):
        return 0.0
    return min(max(math.log(value / reference), -bound), bound)
