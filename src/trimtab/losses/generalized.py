"""Generalised cross-entropy: between cross-entropy and the mean absolute error, robust to wrong labels."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import mean, select, tag_values


class GeneralizedCrossEntropy(TokenLoss):
    """Mean (1 − p^q) / q of the labels; q → 0 is cross-entropy, q = 1 the mean absolute error.

    Source: Zhang & Sabuncu 2018, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels.
    Not proper: its minimum is the truth to the power 1 / (1 − q), normalised, so it is overconfident. With a `tag` the q
    of an example is q times its uncertainty: certain examples get cross-entropy.
    """

    bias = (StatedBias("over"), StatedBias("over", {"tag": "uncertainty"}))

    def __init__(
        self,
        *,
        q: Annotated[float, Field(ge=0, le=1, description="0 is cross-entropy, 1 the mean absolute error")] = 0.7,
        tag: Annotated[
            str | None,
            Field(min_length=1, description="metadata key of an uncertainty in [0, 1] that q is multiplied by"),
        ] = None,
    ) -> None:
        self.q, self.tag = q, tag

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; with a `tag`, `aux` holds the mean `q`. Raises `ConfigError` where the tag is missing."""
        chosen = select("generalized_cross_entropy", logits, labels)
        log_p = chosen.log_p()
        if self.tag is None:
            return mean(_box_cox(log_p, torch.full_like(log_p, self.q)))
        tags = tag_values("generalized_cross_entropy", self.tag, labels, batch_metadata)
        q = self.q * chosen.of(tags.to(log_p.dtype))
        return mean(_box_cox(log_p, q), aux={"q": float(mean(q)["loss"])})


def _box_cox(log_p: Float[Tensor, " n"], q: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    # Below 1e-6 the limit −log p is exact in fp32, and q = 0 would divide by 0.
    small = q < 1e-6
    safe = torch.where(small, 1.0, q)
    return torch.where(small, -log_p, -(safe * log_p).expm1() / safe)
