"""Cross-entropy in which uncertain examples count less."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.losses.claims import Claim
from trimtab.losses.module import IGNORE, Labels, LossOutput, TokenLoss
from trimtab.losses.positions import mean, refuse_soft, select, tag_values


class Weighted(TokenLoss):
    """Σ wᵢ · CEᵢ / Σ wᵢ with weights from each example's uncertainty u: 1 − strength · u, or exp(−strength · u).

    The sum of weights is the denominator over a whole optimiser step, however it is cut into micro-batches. `unit: token`:
    i runs over asked tokens; `unit: sequence`: over examples, CEᵢ being the example's mean, so that long answers count no
    more than short ones. Proper as long as the tag depends on the prompt alone; a tag that knows which labels are wrong
    moves the minimum towards the right ones, which is its purpose.
    """

    claims = (Claim("none"), Claim("none", {"curve": "exponential", "strength": 2.0, "unit": "sequence"}))

    def __init__(
        self,
        *,
        strength: Annotated[float, Field(ge=0, description="how much uncertainty costs; 0 is cross-entropy")] = 1.0,
        curve: Annotated[
            Literal["linear", "exponential"],
            Field(description="linear: 1 − strength · u, at least 0; exponential: exp(−strength · u)"),
        ] = "linear",
        unit: Annotated[
            Literal["token", "sequence"], Field(description="what is averaged: asked tokens, or the examples' means")
        ] = "token",
        tag: Annotated[
            str, Field(min_length=1, description="the metadata key that holds the uncertainty, in [0, 1]")
        ] = "uncertainty",
    ) -> None:
        self.strength, self.curve, self.unit, self.tag = strength, curve, unit, tag

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The sum of the weights of the asked tokens, or of the examples that ask something."""
        return self._weights(labels, batch_metadata).sum()[None]

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; raises `ConfigError` where the tag is missing."""
        chosen = select("weighted", logits, labels)
        weights = chosen.of(self._weights(labels, batch_metadata).to(chosen.logits.dtype))
        return mean(-chosen.log_p(), weights)

    def _weights(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, "batch time"]:
        """The weight of each position, on the CPU; 0 where nothing is asked. A sequence's are a share of its own."""
        refuse_soft("weighted", labels)
        tags = tag_values("weighted", self.tag, labels, batch_metadata)
        linear = self.curve == "linear"
        weights = (1 - self.strength * tags).clamp(min=0) if linear else (-self.strength * tags).exp()
        asked = (labels != IGNORE).cpu()
        if self.unit == "sequence":
            # Σₜ of these is the sequence's mean weight, and Σₜ weight · CE its weight times its mean where they are one.
            weights = weights / asked.sum(-1, keepdim=True).clamp(min=1)
        return torch.where(asked, weights, 0.0)
