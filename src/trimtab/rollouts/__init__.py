"""Training on what the model itself answers: batches of scored answers, and the policy gradient."""

from trimtab.rollouts.losses import PolicyGradient
from trimtab.rollouts.source import Rollouts, RolloutSource

__all__ = ["PolicyGradient", "RolloutSource", "Rollouts"]
