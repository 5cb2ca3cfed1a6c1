"""Terms on the entropy of the prediction."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import Selected, mean, select


class Entropy(TokenLoss):
    """The mean entropy of the prediction over the target positions, in nats: minimising it sharpens the prediction.

    Source: Grandvalet & Bengio 2004, Semi-supervised Learning by Entropy Minimization. A term; overconfident.
    """

    term = True
    bias = (StatedBias("over", weight=0.1),)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; `batch_metadata` is not read, and of the labels only which positions are targets."""
        return mean(entropies(select("entropy", logits, labels)))


class ConfidencePenalty(TokenLoss):
    """The negative mean entropy of the prediction over the target positions, in nats: minimising it flattens the prediction.

    Source: Pereyra et al. 2017, Regularizing Neural Networks by Penalizing Confident Output Distributions. A term;
    underconfident.
    """

    term = True
    bias = (StatedBias("under", weight=0.1),)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; `batch_metadata` is not read, and of the labels only which positions are targets."""
        return mean(-entropies(select("confidence_penalty", logits, labels)))


def entropies(chosen: Selected) -> Float[Tensor, " selected"]:
    """The entropy of the prediction at each position, in nats; tokens of probability 0 (logit −inf) add nothing."""
    p = chosen.logits.softmax(-1)
    finite = torch.where(p > 0, chosen.logits, 0.0) if bool(chosen.logits.isneginf().any()) else chosen.logits
    # A batched dot product keeps no third tensor of the size of the vocabulary.
    expected = torch.bmm(p[:, None, :], finite[:, :, None])[:, 0, 0]
    return chosen.logits.logsumexp(-1) - expected
