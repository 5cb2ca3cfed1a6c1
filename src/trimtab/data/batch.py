"""What a task gives the trainer."""

from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int
from torch import Tensor

IGNORE = -100
"""The label of a position where nothing is asked."""


class Item(TypedDict):
    """One example. `labels[t]` is the token *at* position t, or IGNORE; the shift is the trainer's."""

    input_ids: Int[Tensor, " time"]
    labels: Int[Tensor, " time"]
    metadata: dict[str, Any]
    """What losses and reports may know. Under `aligned`, tensors by name with an entry a position, which stay with the labels."""


class TaskDataset(Protocol):
    """A task with a fixed number of examples, each the same whenever it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


@runtime_checkable
class GradedDataset(Protocol):
    """A task that knows how hard its examples are, so that a data mix can choose among them."""

    def difficulty(self) -> Float64[np.ndarray, " examples"]:
        """A number an example; larger is harder."""
        ...


@dataclass(frozen=True)
class Batch:
    """Examples padded to one length.

    `input_ids` and `labels` are aligned (not shifted); `attention_mask` is true at real tokens, or None when nothing is
    padded. `metadata` holds what the losses read, one list entry an example; `aligned` what is known about each position, by
    name, padded like the labels and shifted with them by the trainer.
    """

    input_ids: Int[Tensor, "batch time"]
    labels: Int[Tensor, "batch time"]
    attention_mask: Bool[Tensor, "batch time"] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    aligned: dict[str, Tensor] = field(default_factory=dict)
