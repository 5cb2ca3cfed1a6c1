"""What a loss is to the trainer."""

from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

from jaxtyping import Float, Int
from torch import Tensor

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
