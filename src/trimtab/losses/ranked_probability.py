"""Ranked probability score over number tokens: a distance between numbers that is proper."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.number_vocabulary import NumberVocabulary
from trimtab.losses.positions import mean, select


class RankedProbability(TokenLoss):
    """Σₖ (Fₖ − 1{y ≤ vₖ})² over the number tokens' values v₁ < v₂ < …, averaged over the labels that are number tokens.

    F is the cumulative distribution among the number tokens given that the token is a number; mass outside them neither
    helps nor hurts, and labels that are no numbers are left to the other terms. So the expected score is P(the label is a
    number) × the expected score of the conditional distribution and has its only minimum at the truth's: proper, and strictly so
    for the conditional distribution of the values (tokens of one value share it). Added to cross-entropy, which sees the rest,
    the sum is strictly proper. Without a unit; one step too far costs the same wherever the values lie.

    Source: Epstein 1969, A Scoring System for Probability Forecasts of Ranked Categories; Gneiting & Raftery 2007, section 4.2.
    """

    term = True
    bias = (StatedBias("none", weight=0.3), StatedBias("none", conditional=True))

    def __init__(
        self,
        *,
        roles: Annotated[
            tuple[int, ...] | None,
            Field(description="roles of the labels that count, where the batch has roles; null for every number"),
        ] = None,
        token_values: Float64[Tensor, " vocabulary"] | None = None,
    ) -> None:
        self.roles = roles
        self.numbers = NumberVocabulary(token_values, "ranked_probability")
        higher = (self.numbers.values.diff() > 0).long()
        self._rank = torch.cat([torch.zeros(1, dtype=torch.int64), higher.cumsum(0)])
        self._last = torch.cat([higher, torch.ones(1, dtype=torch.int64)]).nonzero()[:, 0]

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of labels that are number tokens."""
        return self.numbers.where(labels, batch_metadata, self.roles).sum().cpu().double()[None]

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch."""
        chosen = select("ranked_probability", logits, labels, self.numbers.where(labels, batch_metadata, self.roles))
        p = self.numbers.log_p(chosen).exp()
        cumulative = p.cumsum(-1)[:, self._last.to(p.device)]
        rank = self._rank.to(p.device)[self.numbers.index_of(chosen.labels)]
        reached = rank[:, None] <= torch.arange(cumulative.shape[-1], device=p.device)
        return mean(((cumulative - reached.to(p.dtype)) ** 2).sum(-1))
