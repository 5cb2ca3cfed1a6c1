"""The loss `kto`: feedback on single answers, each desirable or not."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.errors import ConfigError
from trimtab.losses.module import Labels, LossOutput, TokenLoss
from trimtab.losses.positions import mean
from trimtab.posttraining.log_probs import answer_log_probs
from trimtab.posttraining.losses.batches import mean_entropy, reference_of

NAME = "kto"


class Kto(TokenLoss):
    """λ (1 − σ(β(r − z))) for desirable and λ (1 − σ(β(z − r))) for undesirable answers, r = log π/π_ref; a mean over answers.

    Source: KTO (Ethayarajh et al. 2024, arXiv 2402.01306). There z is the KL divergence to the reference, estimated from the
    other answers of a batch; here it is a constant of the config, so that the loss is a sum over answers and does not depend on
    how a step is cut into micro-batches. With z = 0 it is APO-zero for single answers. The rows are those of `chat` data with a
    `label`, or of `pairs` (the chosen answer is desirable, the rejected one is not).
    """

    on_logits = False

    def __init__(
        self,
        *,
        beta: Annotated[float, Field(gt=0, description="β, the scale of the rewards")] = 0.1,
        desirable: Annotated[float, Field(gt=0, description="weight λ of desirable answers")] = 1.0,
        undesirable: Annotated[float, Field(gt=0, description="weight λ of undesirable answers")] = 1.0,
        reference_point: Annotated[
            float, Field(ge=0, description="z, the log ratio in nats at which an answer has the value 0")
        ] = 0.0,
    ) -> None:
        self.beta, self.desirable, self.undesirable, self.reference_point = (
            beta,
            desirable,
            undesirable,
            reference_point,
        )

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of answers."""
        return torch.tensor([len(labels)], dtype=torch.float64)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; raises `ConfigError` where feedback or reference is missing."""
        good = torch.tensor(_feedback(batch_metadata), device=logits.device)
        found, chosen = answer_log_probs(NAME, logits, labels)
        ratio = found.total - reference_of(NAME, batch_metadata, found.total)
        gain = self.beta * (ratio - self.reference_point)
        values = torch.where(good, self.desirable * torch.sigmoid(-gain), self.undesirable * torch.sigmoid(gain))
        figures = {"log_ratio": float(ratio.detach().mean()), "length": float(found.tokens.mean())}
        figures |= _by_feedback("rewards", self.beta * ratio.detach(), good)
        return mean(values, aux=figures | {"entropy": mean_entropy(chosen, found, labels.shape[1])})


def _feedback(batch_metadata: Mapping[str, Any]) -> list[bool]:
    feedback: Sequence[bool | None] | None = batch_metadata.get("desirable", batch_metadata.get("preferred"))
    if feedback is None or any(value is None for value in feedback):
        raise ConfigError(
            f"The loss '{NAME}' needs feedback on every answer. Use data={{name: chat, path: ...}} with rows of prompt, "
            "completion and a label (true or false), or data={name: pairs, path: ...}."
        )
    return [bool(value) for value in feedback]


def _by_feedback(name: str, values: Float[Tensor, " rows"], good: Tensor) -> dict[str, float]:
    """The sums over desirable and undesirable answers, divided by all answers: so that micro-batches add up."""
    count = max(1, len(values))
    return {
        f"{name}_desirable": float(values[good].sum()) / count,
        f"{name}_undesirable": float(values[~good].sum()) / count,
        "share_desirable": float(good.sum()) / count,
    }
