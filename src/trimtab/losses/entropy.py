"""Terms on the entropy of the prediction."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.losses.claims import Claim
from trimtab.losses.module import Labels, LossOutput, TokenLoss
from trimtab.losses.positions import Selected, mean, select


class Entropy(TokenLoss):
    """The mean entropy of the prediction over the asked positions, in nats: minimising it sharpens the prediction.

    Source: Grandvalet & Bengio 2004, Semi-supervised Learning by Entropy Minimization. A term; overconfident.
    """

    term = True
    claims = (Claim("over", weight=0.1),)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; `batch_metadata` is not read, and of the labels only whether they are asked."""
        return mean(entropies(select("entropy", logits, labels)))


class ConfidencePenalty(TokenLoss):
    """The negative mean entropy of the prediction over the asked positions, in nats: minimising it flattens the prediction.

    Source: Pereyra et al. 2017, Regularizing Neural Networks by Penalizing Confident Output Distributions. A term;
    underconfident.
    """

    term = True
    claims = (Claim("under", weight=0.1),)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; `batch_metadata` is not read, and of the labels only whether they are asked."""
        return mean(-entropies(select("confidence_penalty", logits, labels)))


def entropies(chosen: Selected) -> Float[Tensor, " selected"]:
    """The entropy of the prediction at each position, in nats; tokens that the model rules out (−inf) add nothing."""
    p = chosen.logits.softmax(-1)
    finite = torch.where(p > 0, chosen.logits, 0.0) if bool(chosen.logits.isneginf().any()) else chosen.logits
    # As a product of a row and a column a position, so that no third vocabulary-sized tensor is kept.
    expected = torch.bmm(p[:, None, :], finite[:, :, None])[:, 0, 0]
    return chosen.logits.logsumexp(-1) - expected
