"""What the objectives read of a batch: pairs of rows, references, and figures for the records."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.errors import ConfigError
from trimtab.losses.positions import Selected
from trimtab.posttraining.log_probs import AnswerLogProbs

_AT_ONCE = 1024


def check_pairs(loss: str, batch_metadata: Mapping[str, Any], rows: int) -> None:
    """Raise `ConfigError` unless the rows of the batch are pairs: a chosen answer, then the rejected one."""
    preferred = batch_metadata.get("preferred")
    if preferred is None or len(preferred) != rows or list(preferred) != [True, False] * (rows // 2):
        raise ConfigError(
            f"The loss '{loss}' needs pairs of answers: each chosen answer in a row, followed by the rejected one. Use "
            "data={name: pairs, path: ...}."
        )


def reference_of(loss: str, batch_metadata: Mapping[str, Any], like: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """The reference's log probability of each row's answer. Raises `ConfigError` if the data have no reference."""
    values: Sequence[float | None] | None = batch_metadata.get("reference_log_prob")
    if values is None or any(value is None for value in values):
        raise ConfigError(
            f"The loss '{loss}' needs the log probabilities of a reference model. Set data.reference to the folder of the model "
            "that training begins from, or use an objective without a reference (simpo, orpo)."
        )
    return torch.tensor(values, dtype=torch.float64).to(like.dtype).to(like.device)


@torch.no_grad()
def mean_entropy(chosen: Selected, answers: AnswerLogProbs, time: int) -> float:
    """The entropy of the next-token distribution in nats, a mean over answers of the mean over an answer's tokens.

    `time` is the number of positions of a row. A mean over all tokens would depend on how a step is cut into micro-batches.
    """
    total = torch.zeros_like(answers.total)
    for start in range(0, len(chosen.logits), _AT_ONCE):
        log_p = chosen.logits[start : start + _AT_ONCE].log_softmax(-1)
        entropy = -(log_p.exp() * torch.where(log_p.isfinite(), log_p, 0.0)).sum(-1)
        total.index_add_(0, chosen.index[start : start + _AT_ONCE] // time, entropy.to(total.dtype))
    return float((total / answers.tokens.clamp(min=1)).mean())
