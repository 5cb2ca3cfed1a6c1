"""The loss `policy_gradient`: REINFORCE on rollouts."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from trimtab.errors import WorkError
from trimtab.losses.module import IGNORE, Labels, LossOutput, TokenLoss


class PolicyGradient(TokenLoss):
    """-(1/n) Σ_i A_i Σ_t log π(y_t): the score-function estimate of the gradient of the mean reward (REINFORCE).

    n is the number of rollouts, A_i the advantage of one, and the inner sum goes over its tokens, so a long answer counts as a
    short one does. The probabilities are those of the draws: at their temperature, and without the tokens that rules excluded
    at a place (the aligned `forbidden`; -1 is none). With leave-one-out advantages the estimate has no bias. Rows without an
    advantage, such as those of validation data, do not count.
    """

    on_logits = False

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of rollouts."""
        del labels
        return torch.tensor([len(_counted(batch_metadata))], dtype=torch.float64)

    def __call__(
        self, logits: Float[Tensor, "batch time vocabulary"], labels: Labels, batch_metadata: Mapping[str, Any]
    ) -> LossOutput:
        """The mean over rollouts. Raises `WorkError` for training data that are no rollouts."""
        rows = _counted(batch_metadata)
        if not rows:
            if "step" in batch_metadata:
                raise WorkError(
                    "The loss policy_gradient needs rollouts, which data without `data.rollouts` does not have. Set "
                    "data.rollouts, or another loss."
                )
            none = logits.sum() * 0
            return {"loss": none, "weight": torch.zeros_like(none), "aux": {}}
        advantage = torch.tensor([batch_metadata["advantage"][row] for row in rows], device=logits.device)
        temperature = torch.tensor([batch_metadata["temperature"][row] for row in rows], device=logits.device)
        known, own = labels[rows] != IGNORE, logits[rows].float()
        target = labels[rows].clamp(min=0)[..., None]
        if (forbidden := batch_metadata.get("forbidden")) is not None:
            own = _without(own, forbidden[rows])
        scaled = (own / temperature.to(own.dtype)[:, None, None]).log_softmax(-1)
        total = torch.where(known, scaled.gather(-1, target)[..., 0], 0.0).sum(1)
        loss = -(advantage.to(total.dtype) * total).mean()
        weight = torch.tensor(float(len(rows)), device=logits.device)
        return {"loss": loss, "weight": weight, "aux": self._figures(own.detach(), target, known, rows, batch_metadata)}

    @torch.no_grad()
    def _figures(
        self, logits: Tensor, target: Tensor, known: Tensor, rows: list[int], metadata: Mapping[str, Any]
    ) -> dict[str, float]:
        """Reward, tokens, entropy, and how far the log probabilities are from those of the draws."""
        plain = logits.log_softmax(-1)
        count = known.sum().clamp(min=1)
        entropy = torch.where(known, -(plain.exp() * plain.clamp(min=-1e4)).sum(-1), 0.0).sum() / count
        figures = {
            "reward": sum(metadata["reward"][row] for row in rows) / len(rows),
            "rollout_tokens": float(known.sum()) / len(rows),
            "entropy": float(entropy),
        }
        if (sampled := metadata.get("sampled")) is not None:
            gap = torch.where(known, (plain.gather(-1, target)[..., 0] - sampled[rows]).abs(), 0.0)
            figures["policy_gap"] = float(gap.sum() / count)
        return figures


def _without(logits: Float[Tensor, "rows time vocabulary"], forbidden: Int[Tensor, "rows time some"]) -> Tensor:
    """Logits with -inf for the tokens that are named at each place."""
    named = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, forbidden.clamp(min=0), forbidden >= 0)
    return logits.masked_fill(named, -torch.inf)


def _counted(metadata: Mapping[str, Any]) -> list[int]:
    return [row for row, advantage in enumerate(metadata.get("advantage", ())) if advantage is not None]
