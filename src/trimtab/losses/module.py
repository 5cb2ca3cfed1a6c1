"""What a loss is to the trainer, and what the shipped ones share."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypedDict

from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from trimtab.losses.claims import Claim

IGNORE = -100
"""The label of a position where nothing is asked."""

Labels = Int[Tensor, "batch time"] | Float[Tensor, "batch time vocabulary"]


class LossOutput(TypedDict):
    """`loss` is a mean over `weight` (tokens, or their summed weights); `aux` holds further terms, for the records."""

    loss: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    aux: dict[str, float]


class LossModule(Protocol):
    """A loss on logits and labels that are already aligned.

    `labels` are token ids (−100 where nothing is asked) or, for soft targets, a distribution over the vocabulary a
    position (all zeros where nothing is asked). The trainer adds up loss · weight over micro-batches and divides once, so
    how a batch was cut never changes the result.
    """

    def __call__(
        self, logits: Float[Tensor, "batch time vocabulary"], labels: Labels, batch_metadata: Mapping[str, Any]
    ) -> LossOutput:
        """The loss of a batch; `batch_metadata` is what the task and the observers give beside the labels."""
        ...


class TokenLoss:
    """Base of the losses that ship: a mean over the asked tokens, unless `denominators` says otherwise.

    `additive`: whether loss · weight is a sum over tokens or examples, so that cutting a batch into micro-batches cannot
    change it. `term`: whether it is only added to a loss on every token and is no objective by itself (None: as its own terms
    are). `claims`: the biases that the propriety test must find.
    """

    additive: ClassVar[bool] = True
    term: ClassVar[bool | None] = False
    claims: ClassVar[tuple[Claim, ...]] = ()

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The `weight` that a batch will have, on the CPU, from its labels and metadata alone; one entry a term."""
        return asked_positions(labels).sum().cpu().double()[None]


def asked_positions(labels: Labels) -> Bool[Tensor, "batch time"]:
    """Where something is asked: a label that is not −100, or a soft label that is not all zero."""
    if labels.is_floating_point():
        return labels.sum(-1) > 0
    return labels != IGNORE
