"""Log probabilities of answers, summed over their tokens."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trimtab.losses.positions import Selected, select


class AnswerLogProbs(NamedTuple):
    """For each row of a batch the log probability of its labels (summed, in nats) and their number."""

    total: Float[Tensor, " rows"]
    tokens: Float[Tensor, " rows"]

    @property
    def mean(self) -> Float[Tensor, " rows"]:
        """The mean over the row's labels; 0 for a row without labels."""
        return self.total / self.tokens.clamp(min=1)


def answer_log_probs(
    loss: str, logits: Float[Tensor, "rows time vocabulary"], labels: Int[Tensor, "rows time"]
) -> tuple[AnswerLogProbs, Selected]:
    """The log probabilities of each row's labels, summed in fp64, and the target positions they come from.

    Raises `ConfigError`, naming the `loss`, for soft labels.
    """
    chosen = select(loss, logits, labels)
    rows = chosen.index // labels.shape[1]
    # Sums of some hundred nats are rounded by 3e-5 in fp32, which the difference from a reference would show.
    values = chosen.log_p().double()
    zeros = values.new_zeros(len(labels))
    return AnswerLogProbs(zeros.index_add(0, rows, values), zeros.index_add(0, rows, torch.ones_like(values))), chosen
