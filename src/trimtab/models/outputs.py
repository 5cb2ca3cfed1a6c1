"""Models that return more than logits: a value, a confidence, a gate by token."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class ModelOutput(NamedTuple):
    """What a model with further outputs returns.

    `logits` are [batch, seq, vocabulary]. `outputs` are by name [batch, seq, ...]: entry t belongs to the token at position t.
    Such a model names them in its class, `named_outputs = ("value",)`; losses receive them as `batch_metadata["outputs"]`.
    """

    logits: Tensor
    outputs: Mapping[str, Tensor]


def has_outputs(model: nn.Module) -> bool:
    """Whether a model returns a `ModelOutput`."""
    return bool(getattr(model, "named_outputs", ()))


def logits_of(result: Any) -> Tensor:
    """The logits of what a model returned."""
    found: Tensor = result.logits if isinstance(result, ModelOutput) else result
    return found
