"""Next-token cross-entropy, for token labels and for soft target distributions."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from trimtab.losses.module import IGNORE, Labels, LossOutput, StatedBias, TokenLoss


class CrossEntropy(TokenLoss):
    """Mean −log p(label) over the target positions, in nats per token, computed in at least fp32.

    Soft labels (one distribution per position) give the cross-entropy −Σ q log p; a position whose row is all zero is not a
    target. A batch without targets has loss 0 and weight 0.
    """

    bias = (StatedBias("none"),)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; `batch_metadata` is not read."""
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        if labels.is_floating_point():
            log_p = functional.log_softmax(logits, dim=-1)
            # Where the target is 0 the term is 0, also for a token of probability 0 (log p = −inf).
            total = -torch.where(labels == 0, 0.0, labels.to(logits.dtype) * log_p).sum()
            weight = (labels.sum(-1) > 0).sum().to(logits.dtype)
        else:
            weight = (labels != IGNORE).sum().to(logits.dtype)
            total = functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
            )
        return {"loss": total / weight.clamp(min=1), "weight": weight, "aux": {}}
