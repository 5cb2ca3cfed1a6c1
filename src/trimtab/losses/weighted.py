"""Cross-entropy in which uncertain examples count less."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import IGNORE, Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import mean, refuse_soft, select, tag_values


class Weighted(TokenLoss):
    """Σ wᵢ · CEᵢ / Σ wᵢ with weights from each example's uncertainty u: 1 − strength · u, or exp(−strength · u).

    The denominator is the sum of weights over a whole optimiser step, however it is cut into micro-batches. `unit: token`:
    i runs over target tokens; `unit: sequence`: over examples, where CEᵢ is the example's mean, so that long answers count no
    more than short ones. Proper if the tag depends on the prompt alone. A tag that marks wrong labels moves the minimum
    towards the right ones, as intended.
    """

    bias = (StatedBias("none"), StatedBias("none", {"curve": "exponential", "strength": 2.0, "unit": "sequence"}))

    def __init__(
        self,
        *,
        strength: Annotated[
            float, Field(ge=0, description="how fast the weight falls with uncertainty; 0 is cross-entropy")
        ] = 1.0,
        curve: Annotated[
            Literal["linear", "exponential"],
            Field(description="linear: 1 − strength · u, at least 0; exponential: exp(−strength · u)"),
        ] = "linear",
        unit: Annotated[
            Literal["token", "sequence"], Field(description="what is averaged: target tokens, or the examples' means")
        ] = "token",
        tag: Annotated[
            str, Field(min_length=1, description="the metadata key that holds the uncertainty, in [0, 1]")
        ] = "uncertainty",
    ) -> None:
        self.strength, self.curve, self.unit, self.tag = strength, curve, unit, tag

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The sum of the weights of the target tokens, or of the examples that have any."""
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
        """The weight of each position, on the CPU; 0 where there is no target. A sequence shares its weight among its targets."""
        refuse_soft("weighted", labels)
        tags = tag_values("weighted", self.tag, labels, batch_metadata)
        linear = self.curve == "linear"
        weights = (1 - self.strength * tags).clamp(min=0) if linear else (-self.strength * tags).exp()
        targets = (labels != IGNORE).cpu()
        if self.unit == "sequence":
            # They sum to the sequence's mean weight; where a sequence has one weight, Σₜ weight · CE is it times the mean CE.
            weights = weights / targets.sum(-1, keepdim=True).clamp(min=1)
        return torch.where(targets, weights, 0.0)
