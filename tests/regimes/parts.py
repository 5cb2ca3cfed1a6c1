"""States and policies for the tests of learned controllers."""

from typing import Any

import numpy as np

from trimtab.config import EpisodeConfig
from trimtab.regimes import RegimeState
from trimtab.regimes.actions import ACTIONS, Recent
from trimtab.regimes.features import FEATURES
from trimtab.regimes.policy import LinearPolicy

EPISODE = EpisodeConfig(clip=None)
SPIKES = ("loss_spike", "gradient_spike")
CARD = {"method": "ridge", "metric": "val_loss", "horizons": [30], "ledger": {"fingerprint": "f" * 64}}


def state(step: int, *, loss: float = 2.0, norm: float = 1.0, **values: Any) -> RegimeState:
    return RegimeState(
        step, loss, values.pop("loss_ema", loss), 0.1, norm, values.pop("grad_norm_ema", norm), 0.0, **values
    )


def seen(steps: int, episode: EpisodeConfig = EPISODE) -> Recent:
    """After calm steps with gradient norms around 1 and relative updates around .01."""
    recent = Recent()
    for step in range(1, steps + 1):
        recent.observe(state(step, norm=1.0 + 0.01 * (-1) ** step, update_ratio=0.01), episode)
    return recent


def policy(
    effects: dict[str, float], error: float = 0.0, feature: str = "loss_spike", calm: float = 0.0
) -> LinearPolicy:
    """Predicts these effects where `feature` is 1, and `calm` where it is 0; the standard error is `error` everywhere."""
    count = len(FEATURES)
    weights, covariance = np.zeros((len(ACTIONS), count + 1)), np.zeros((len(ACTIONS), count + 1, count + 1))
    for action, effect in effects.items():
        weights[ACTIONS.index(action), FEATURES.index(feature)] = effect - calm
    weights[:, -1], covariance[:, -1, -1] = calm, error**2
    return LinearPolicy(np.zeros(count), np.ones(count), weights, covariance, dict(CARD))
