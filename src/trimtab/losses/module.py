"""The interface of a loss, the base of the shipped losses, and the bias that a loss states."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypedDict

from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

IGNORE = -100
"""The label of a position that is not a target."""

Labels = Int[Tensor, "batch time"] | Float[Tensor, "batch time vocabulary"]


class LossOutput(TypedDict):
    """`loss` is a mean over `weight` (the number of targets, or their summed weights); `aux` has further figures to record."""

    loss: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    aux: dict[str, float]


class LossModule(Protocol):
    """A loss on logits and labels that are already aligned.

    `labels` are token ids (−100: no target) or, for soft targets, one distribution over the vocabulary per position (all
    zeros: no target). The trainer sums loss · weight over the micro-batches of a step and divides once, so the result does not
    depend on how the step is cut into micro-batches.
    """

    def __call__(
        self, logits: Float[Tensor, "batch time vocabulary"], labels: Labels, batch_metadata: Mapping[str, Any]
    ) -> LossOutput:
        """The loss of a batch; `batch_metadata` comes from the data, the model's further outputs and the hooks."""
        ...


Bias = Literal["none", "over", "under"]
"""The confidence at a loss's minimum compared with the truth's: equal (a proper loss), higher, or lower."""


@dataclass(frozen=True)
class StatedBias:
    """The bias that the propriety test should measure for a loss with some `parameters` (the others at their defaults).

    `weight`: the loss is tested as a term of this weight added to cross-entropy; None tests it alone. `conditional`: the loss
    determines only the distribution over the number tokens, so only that is compared.
    """

    bias: Bias
    parameters: Mapping[str, Any] = field(default_factory=dict)
    weight: float | None = None
    conditional: bool = False


class TokenLoss:
    """Base of the shipped losses: a mean over the target tokens, unless `denominators` says otherwise.

    `additive`: loss · weight is a sum over tokens or examples, so micro-batches do not change it. `term`: the loss can only be
    added to one on every token and is not an objective by itself (None: as its own terms are). `bias`: what the propriety test
    should measure, as a `Bias` for every choice of parameters, or as one `StatedBias` per choice. `on_logits`: whether the loss
    is about the distribution of labels. One on further outputs of a model, on rewards or on preferences has no bias.
    """

    additive: ClassVar[bool] = True
    term: ClassVar[bool | None] = False
    bias: ClassVar[Bias | tuple[StatedBias, ...] | None] = None
    on_logits: ClassVar[bool] = True

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The `weight` that a batch will have, on the CPU, from its labels and metadata alone; one entry per term."""
        return target_mask(labels).sum().cpu().double()[None]


def target_mask(labels: Labels) -> Bool[Tensor, "batch time"]:
    """Where there is a target: a label other than −100, or a soft label that is not all zero."""
    if labels.is_floating_point():
        return labels.sum(-1) > 0
    return labels != IGNORE
