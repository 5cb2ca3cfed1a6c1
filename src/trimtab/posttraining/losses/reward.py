"""The loss `reward_pairs`: a reward model learned from pairs."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float, Float64, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from trimtab.errors import ConfigError
from trimtab.losses.module import IGNORE, Labels, LossOutput, TokenLoss
from trimtab.losses.positions import mean
from trimtab.posttraining.losses.batches import check_pairs

NAME = "reward_pairs"


def end_rewards(rewards: Float[Tensor, "rows tokens"], labels: Int[Tensor, "rows time"]) -> Float[Tensor, " rows"]:
    """The reward at each row's last label, the end token of its answer, whatever side the padding is on.

    `rewards` has an entry per token, and `labels` are aligned with the logits: label t is token t + 1.
    """
    places = torch.arange(labels.shape[1], device=labels.device)
    last = torch.where(labels != IGNORE, places, -1).amax(1)
    return rewards.gather(1, (last + 1)[:, None])[:, 0]


class RewardPairs(TokenLoss):
    """−log σ(r_chosen − r_rejected), a mean over pairs: the Bradley–Terry model (1952), as in Ouyang et al. 2022, 2203.02155.

    The reward r is the output `reward` of a model with a scalar head (`scored`) at the end token of an answer. `centre` adds its
    weight times (r_chosen + r_rejected)², which keeps rewards near 0 (Eisenstein et al. 2023, arXiv 2312.09244).
    """

    on_logits = False

    def __init__(
        self,
        *,
        centre: Annotated[float, Field(ge=0, description="weight of (r_chosen + r_rejected)²; 0.01 is usual")] = 0.0,
    ) -> None:
        self.centre = centre

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of pairs."""
        return torch.tensor([len(labels) // 2], dtype=torch.float64)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; raises `ConfigError` where rows are no pairs or the model gives no reward."""
        check_pairs(NAME, batch_metadata, len(labels))
        outputs = batch_metadata.get("outputs", {})
        if "reward" not in outputs:
            raise ConfigError(
                f"The loss '{NAME}' needs a model with a scalar head: model={{name: scored, base: {{name: decoder}}}}."
            )
        rewards = end_rewards(outputs["reward"].float(), labels)
        chosen, rejected = rewards.view(-1, 2).unbind(1)
        values = -functional.logsigmoid(chosen - rejected) + self.centre * (chosen + rejected).square()
        margins = (chosen - rejected).detach()
        figures = {
            "rewards_chosen": chosen.detach(),
            "rewards_rejected": rejected.detach(),
            "margin": margins,
            "accuracy": (margins > 0).float() + 0.5 * (margins == 0).float(),
        }
        return mean(values, aux={name: float(value.mean()) for name, value in figures.items()})
