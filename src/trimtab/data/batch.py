"""Examples, batches of them, and where a run's batches come from."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypedDict, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor, nn

from trimtab.config import DataMix
from trimtab.random import Streams

IGNORE = -100
"""The label of a position that is not a target."""


class Item(TypedDict):
    """One example. `labels[t]` is the token *at* position t, or IGNORE; `Batch.shifted` aligns it with the logits."""

    input_ids: Int[Tensor, " time"]
    labels: Int[Tensor, " time"]
    metadata: dict[str, Any]
    """For losses and reports. Under `aligned`, tensors by name with one entry per position, which are shifted with the labels."""


class TaskDataset(Protocol):
    """A fixed number of examples; an index always gives the same one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


@runtime_checkable
class GradedDataset(Protocol):
    """A dataset that knows how hard its examples are, so that a data mix can choose among them."""

    def difficulty(self) -> Float64[np.ndarray, " examples"]:
        """One number per example; larger is harder."""
        ...


@runtime_checkable
class BatchedDataset(Protocol):
    """A dataset with a faster way to a batch than collating its items; the result must be the same."""

    def batch(self, indices: list[int], pad: int) -> "Batch":
        """The examples of `indices` as one batch, short ones filled up with `pad`."""
        ...


class NextToken(NamedTuple):
    """A batch for next-token prediction: entry t of `labels` and `aligned` belongs to the logits after input t."""

    input_ids: Int[Tensor, "batch inputs"]
    attention_mask: Bool[Tensor, "batch inputs"] | None
    labels: Tensor
    aligned: dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Examples padded to one length.

    `labels[:, t]` is the token at position t (or IGNORE, or a distribution over the vocabulary), not yet shifted.
    `attention_mask` is true at real tokens, or None when nothing is padded. `metadata` is what the losses receive: one list
    entry per example, or any value that they expect. Two of its keys are for the records of the step: `figures`, numbers by name,
    of which a step's row has the largest over its micro-batches as `data.NAME` in `aux`, and `occurrences`, events with `kind`,
    `reason`, `before` and `after`. `aligned` has tensors with one entry per position, padded and shifted like
    the labels.
    """

    input_ids: Int[Tensor, "batch time"]
    labels: Int[Tensor, "batch time"]
    attention_mask: Bool[Tensor, "batch time"] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    aligned: dict[str, Tensor] = field(default_factory=dict)

    def shifted(self, *, keep_last: bool = False) -> NextToken:
        """The batch with its labels one position earlier. No other code shifts labels.

        The last token has no label, so it is not an input; `keep_last` keeps it, for models that return more than logits.
        """
        end = None if keep_last else -1
        mask = None if self.attention_mask is None else self.attention_mask[:, :end]
        aligned = {name: tensor[:, 1:] for name, tensor in self.aligned.items()}
        return NextToken(self.input_ids[:, :end], mask, self.labels[:, 1:], aligned)


Purpose = Literal["training", "validation"]


@dataclass(frozen=True)
class DrawState:
    """The run's state when a batch is drawn, for sources whose batches depend on it.

    `step` is the step that the batch is for (in validation, the last finished step), `index` the number of the batch within it,
    `attempt` how often the run has been rewound.
    """

    model: nn.Module
    streams: Streams
    purpose: Purpose
    step: int
    attempt: int
    index: int

    def generator(self) -> torch.Generator:
        """A CPU generator, seeded by the run's seed and this draw alone, so that a resumed or replayed run draws the same."""
        return self.streams.at("sampling", self.purpose, self.step, self.attempt, self.index)


class BatchSource(Protocol):
    """Where a run's batches come from: an endless sequence of examples, read by position.

    `take` must be a function of its arguments alone. The run's cursor is then one number, and resuming, forking and replaying
    a run give the same batches. What varies from call to call (an iterator, a random generator kept by the source, a cache that
    changes results) breaks that.

    Most sources do not read `state`. A source of rollouts generates with `state.model` and draws from `state.generator()`. It
    leaves the model as it is: weights, mode and gradients (`trimtab.models.generate` and `complete` do).

    A step makes one forward pass over the rows of a batch. An objective over several texts (a preferred and a rejected answer,
    several forms of one question) puts them into rows of one batch and says in `metadata` which rows belong together. What
    needs no gradient, such as the log probabilities of a reference model, is computed by the source and put into `metadata`.
    """

    def take(self, position: int, count: int, mix: DataMix | None = None, state: DrawState | None = None) -> Batch:
        """Examples `position` to `position + count - 1` as one batch, chosen by difficulty where there is a `mix`.

        The trainer always gives the `state`; other callers may leave it out.
        """
        ...


class ValidationSource(BatchSource, Protocol):
    """A source of which the first `samples` examples validate, in batches of `batch_size` (the last one may be smaller)."""

    samples: int
    batch_size: int
