"""Focal loss: less weight on tokens that the model already predicts well."""

from collections.abc import Mapping
from typing import Annotated, Any

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import mean, select


class Focal(TokenLoss):
    """Mean −(1 − p)^γ log p of the labels; γ = 0 is cross-entropy.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 4. Not proper (Charoenphakdee et al. 2021): at its
    minimum the model is underconfident wherever the truth's likeliest token has more than half the mass.
    """

    bias = (StatedBias("under"),)

    def __init__(
        self,
        *,
        gamma: Annotated[
            float, Field(ge=0, description="γ, how fast the weight falls with the probability of the label")
        ] = 2.0,
    ) -> None:
        self.gamma = gamma

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; `batch_metadata` is not read."""
        log_p = select("focal", logits, labels).log_p()
        if self.gamma == 0:
            return mean(-log_p)
        # expm1 gives an exact 1 − p near p = 1; it stays above 0, where a power below 1 has no finite derivative.
        rest = (-log_p.expm1()).clamp(min=1e-30)
        return mean(-(rest**self.gamma) * log_p)
