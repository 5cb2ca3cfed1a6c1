"""Models with further outputs in addition to logits, such as a value or a confidence per token."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class ModelOutput(NamedTuple):
    """The result of a model with further outputs.

    `logits` are [batch, seq, vocabulary]. `outputs` are tensors [batch, seq, ...] by name; entry t belongs to the token at
    position t. The model's class lists the names, such as `named_outputs = ("value",)`; losses receive the outputs as
    `batch_metadata["outputs"]`. With `reads_last_token = False` the class says that it needs no output for an example's last
    token, so that an example may be one token longer than the context, as for models without further outputs. With a method
    `batch_figures(outputs, batch_metadata)` it has figures of its own in every step's row: in `aux`, as `model.NAME`.
    """

    logits: Tensor
    outputs: Mapping[str, Tensor]


def reads_last_token(model: nn.Module) -> bool:
    """Whether a model needs the last token of an example, which no label follows: one with outputs, unless it says otherwise."""
    return has_outputs(model) and bool(getattr(model, "reads_last_token", True))


def has_outputs(model: nn.Module) -> bool:
    """Whether a model returns a `ModelOutput`."""
    return bool(getattr(model, "named_outputs", ()))


def logits_of(result: Any) -> Tensor:
    """The logits in a model's result."""
    logits: Tensor = result.logits if isinstance(result, ModelOutput) else result
    return logits
