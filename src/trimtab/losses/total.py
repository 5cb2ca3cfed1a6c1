"""A weighted sum of losses: cross-entropy and further terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.config import REGISTRIES, ConfigError, NestedComponent
from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss

STEP_TOTALS = ("denominators", "micro_batches")
"""Metadata that the trainer adds in a step of several micro-batches: the denominators of the step, and their number."""


class Term(NestedComponent):
    """A loss in a sum."""

    kind: ClassVar[str] = "loss"

    weight: Annotated[float, Field(ge=0, description="the factor of the term in the sum")] = 1.0


@dataclass(frozen=True)
class Summand:
    """A term's name in the records, its factor, and the loss itself."""

    name: str
    weight: float
    loss: Any


class Sum(TokenLoss):
    """Σ weightₖ · termₖ, each term a mean over its own denominator (tokens, number tokens, summed weights).

    The weight of a batch is that of the first term, which should be one on every token. In a step of several micro-batches the
    trainer gives the step's denominators: the mean over micro-batches is then exactly Σₖ weightₖ · Sₖ / Wₖ, with sums S and
    denominators W over the step. `aux` has each term's unweighted mean under its name (`name_2` for a second one of that name),
    and the term's further figures as `name.figure`. A sum within a sum is flattened.
    """

    term = None
    bias = (
        StatedBias("none", {"terms": [{"name": "cross_entropy"}, {"name": "ranked_probability"}]}),
        StatedBias("over", {"terms": [{"name": "cross_entropy"}, {"name": "number_token"}]}),
    )

    def __init__(
        self,
        *,
        terms: Annotated[
            tuple[Term, ...],
            Field(min_length=1, description="losses with their parameters, each with a `weight` (1 unless given)"),
        ],
        token_values: Float64[Tensor, " vocabulary"] | None = None,
        token_texts: tuple[str, ...] | list[str] | None = None,
    ) -> None:
        supplied = {"token_values": token_values, "token_texts": token_texts}
        self.terms: list[Summand] = []
        for term in terms:
            spec = {key: value for key, value in term.spec.items() if key != "weight"}
            loss = REGISTRIES["loss"].build(
                spec, **{key: value for key, value in supplied.items() if value is not None}
            )
            if not hasattr(loss, "denominators"):
                raise ConfigError(
                    f"The loss '{term.name}' cannot be a term of a sum: it has no method `denominators(labels, batch_metadata)` "
                    "that gives its weight. Inherit from trimtab.losses.TokenLoss, or write one."
                )
            inner = loss.terms if isinstance(loss, Sum) else [Summand("", 1.0, loss)]
            for part in inner:
                name = ".".join(filter(None, [term.name.rpartition(":")[2], part.name]))
                self.terms.append(Summand(self._free(name), term.weight * part.weight, part.loss))
        self.additive = all(getattr(part.loss, "additive", True) for part in self.terms)  # type: ignore[misc]

    def _free(self, name: str) -> str:
        taken = [part.name for part in self.terms]
        number = next(n for n in range(1, len(taken) + 2) if (f"{name}_{n}" if n > 1 else name) not in taken)
        return f"{name}_{number}" if number > 1 else name

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The denominator of each term."""
        return torch.cat([part.loss.denominators(labels, batch_metadata) for part in self.terms])

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The sum of a batch; where the metadata has the step's denominators, the micro-batch's part of the step's sum."""
        totals = self._totals(batch_metadata)
        metadata = {key: value for key, value in batch_metadata.items() if key not in STEP_TOTALS}
        outputs = [part.loss(logits, labels, metadata) for part in self.terms]
        aux: dict[str, float] = {}
        losses = []
        for index, (part, output) in enumerate(zip(self.terms, outputs, strict=True)):
            share = 1.0 if totals is None else _share(output["weight"], totals[index], batch_metadata["micro_batches"])
            losses.append(part.weight * share * output["loss"])
            aux[part.name] = float(output["loss"].detach()) * share
            aux.update({f"{part.name}.{key}": value * share for key, value in output["aux"].items()})
        loss = torch.stack(losses).sum()
        return {"loss": loss, "weight": outputs[0]["weight"] if totals is None else torch.ones_like(loss), "aux": aux}

    def _totals(self, batch_metadata: Mapping[str, Any]) -> Sequence[float] | None:
        denominators = batch_metadata.get("denominators")
        if denominators is None:
            return None
        totals: list[float] = denominators.tolist()
        if len(totals) != len(self.terms):
            raise ValueError(f"the step has {len(totals)} denominators, but the sum has {len(self.terms)} terms")
        return totals


def _share(weight: Float[Tensor, ""], total: float, micro_batches: int) -> float:
    """The share of a micro-batch in the step's mean, times the number of micro-batches, by which the trainer divides."""
    return micro_batches * float(weight) / total if total > 0 else 0.0
