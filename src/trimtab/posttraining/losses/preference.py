"""The loss `preference`: direct optimisation on pairs of a chosen and a rejected answer."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, TokenLoss
from trimtab.losses.positions import mean
from trimtab.posttraining.log_probs import AnswerLogProbs, answer_log_probs
from trimtab.posttraining.losses.batches import check_pairs, mean_entropy, reference_of
from trimtab.posttraining.losses.formulas import (
    FORMULAS,
    WITH_FLIPS,
    WITHOUT_REFERENCE,
    Objective,
    Pairs,
    Settings,
)

NAME = "preference"


class Preference(TokenLoss):
    """A mean over pairs of an objective on the log probabilities of the two answers (`formulas` has each with its source).

    The data component `pairs` gives the rows and, from its `reference`, the reference's log probabilities; `simpo` and `orpo`
    need none. `sft` adds the chosen answer's mean negative log probability per token. `aux` has, as means over pairs, the rewards
    β log π/π_ref (for `simpo` and `orpo` β times the mean log π) of both answers, their margin, the share of pairs with a
    positive one, log π of both answers, the lengths, and the entropy per token; and
    with a reference log π/π_ref of both.
    """

    on_logits = False

    def __init__(
        self,
        *,
        objective: Annotated[
            Objective, Field(description="the formula; docs/posttraining.md has them all")
        ] = "sigmoid",
        beta: Annotated[
            float, Field(gt=0, description="β, the scale of the rewards; for orpo the weight of the odds ratio")
        ] = 0.1,
        flip: Annotated[
            float, Field(ge=0, lt=0.5, description="conservative, robust: the share of labels assumed to be flipped")
        ] = 0.0,
        margin: Annotated[float, Field(ge=0, description="simpo: γ, the margin that the rewards should exceed")] = 0.0,
        length_normalised: Annotated[
            bool,
            Field(description="whether log ratios are means over an answer's tokens instead of sums; ipo always does"),
        ] = False,
        sft: Annotated[
            float, Field(ge=0, description="weight of the chosen answer's mean negative log probability per token")
        ] = 0.0,
    ) -> None:
        self.objective, self.settings = objective, Settings(beta, flip, margin)
        self.length_normalised, self.sft = length_normalised or objective == "ipo", sft

    @staticmethod
    def check(parameters: dict[str, Any]) -> None:
        """Refuse parameters that would have no effect."""
        objective = parameters["objective"]
        if parameters["flip"] and objective not in WITH_FLIPS:
            raise ValueError(
                f"flip: {objective} assumes no flipped labels; use conservative or robust, or set it to 0."
            )
        if parameters["margin"] and objective != "simpo":
            raise ValueError(f"margin: {objective} has no margin; use simpo, or set it to 0.")
        if parameters["length_normalised"] and objective in WITHOUT_REFERENCE:
            raise ValueError(f"length_normalised: {objective} always is; leave it out.")

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of pairs."""
        return torch.tensor([len(labels) // 2], dtype=torch.float64)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; raises `ConfigError` where rows are no pairs or the reference is missing."""
        check_pairs(NAME, batch_metadata, len(labels))
        found, chosen = answer_log_probs(NAME, logits, labels)
        pairs = self._pairs(found, batch_metadata)
        values = FORMULAS[self.objective](pairs, self.settings)
        if self.sft:
            values = values - self.sft * pairs.mean_chosen
        return mean(values, aux=self._figures(pairs, found) | {"entropy": mean_entropy(chosen, found, labels.shape[1])})

    def _pairs(self, found: AnswerLogProbs, batch_metadata: Mapping[str, Any]) -> Pairs:
        if self.objective in WITHOUT_REFERENCE:
            ratio = found.mean
        else:
            ratio = found.total - reference_of(NAME, batch_metadata, found.total)
            ratio = ratio / found.tokens.clamp(min=1) if self.length_normalised else ratio
        halves = [tensor.view(-1, 2).unbind(1) for tensor in (found.total, found.mean, ratio)]
        (chosen, rejected), (mean_chosen, mean_rejected), (a, b) = halves
        return Pairs(chosen, rejected, mean_chosen, mean_rejected, a, b)

    @torch.no_grad()
    def _figures(self, pairs: Pairs, found: AnswerLogProbs) -> dict[str, float]:
        beta = self.settings.beta
        margins = beta * (pairs.a - pairs.b)
        lengths = found.tokens.view(-1, 2)
        figures = {
            "rewards_chosen": beta * pairs.a,
            "rewards_rejected": beta * pairs.b,
            "margin": margins,
            "accuracy": (margins > 0).to(margins.dtype) + 0.5 * (margins == 0).to(margins.dtype),
            "log_prob_chosen": pairs.chosen,
            "log_prob_rejected": pairs.rejected,
            "length_chosen": lengths[:, 0],
            "length_rejected": lengths[:, 1],
        }
        if self.objective not in WITHOUT_REFERENCE:
            figures |= {"log_ratio_chosen": pairs.a, "log_ratio_rejected": pairs.b}
        return {name: float(values.mean()) for name, values in figures.items()}
