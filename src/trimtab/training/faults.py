"""Faults injected on purpose, with known truth, so that what detects and mends them can be scored.

A fault strikes by the run's *data step*: the number of batches drawn so far, which is the step number in a run that never
rewound and moves on through a rewind, as the data does. What struck stands in the step's row under `faults`; nothing of it
is shown to a regime controller.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from trimtab.config import REGISTRIES, Component
from trimtab.data import IGNORE, Batch
from trimtab.random import Streams

Steps = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, description="the data steps that are struck")]
Start = Annotated[int, Field(ge=1, description="the first data step that is struck")]
Length = Annotated[int, Field(ge=1, description="data steps in a row")]


class Fault:
    """Base of all faults: strikes at the data steps in `steps`, and changes nothing."""

    steps: Sequence[int] = ()

    def batch(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch that is trained on in place of this one."""
        return batch

    def lr_factor(self) -> float:
        """A factor on the learning rate."""
        return 1.0

    def disturb(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Change the accumulated gradients in place, before their norm is taken."""


class RandomLabels(Fault):
    """Every target of a batch is a uniformly drawn token."""

    def __init__(self, *, at: Steps, vocabulary: int) -> None:
        self.steps, self.vocabulary = at, vocabulary

    def batch(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The same inputs with random labels; what was known of the old labels is dropped."""
        drawn = torch.randint(self.vocabulary, batch.labels.shape, generator=generator)
        labels = torch.where(batch.labels == IGNORE, batch.labels, drawn)
        return Batch(batch.input_ids, labels, batch.attention_mask, batch.metadata)


class CorruptedData(Fault):
    """A stretch of data whose tokens stand in random order, each window for itself."""

    def __init__(self, *, start: Start, length: Length = 10) -> None:
        self.steps = range(start, start + length)

    def batch(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The same tokens, shuffled within each window; labels follow their tokens, padding stays where it is."""
        order = torch.rand(batch.input_ids.shape, generator=generator)
        if batch.attention_mask is not None:
            order = order.masked_fill(~batch.attention_mask, 2.0)  # behind everything, in its own order
        order = order.argsort(dim=1, stable=True)
        rows = torch.arange(len(order))[:, None]
        return Batch(
            batch.input_ids[rows, order],
            batch.labels[rows, order],
            batch.attention_mask,
            batch.metadata,
            {name: tensor[rows, order] for name, tensor in batch.aligned.items()},
        )


class LearningRateJump(Fault):
    """The learning rate is multiplied by `factor` for a while."""

    def __init__(
        self,
        *,
        start: Start,
        length: Length = 10,
        factor: Annotated[float, Field(gt=0, description="what the learning rate is multiplied with")] = 30.0,
    ) -> None:
        self.steps, self.factor = range(start, start + length), factor

    def lr_factor(self) -> float:
        """The jump."""
        return self.factor


class GradientNoise(Fault):
    """Gaussian noise on every gradient, its norm `scale` times the gradient's own."""

    def __init__(
        self,
        *,
        start: Start,
        length: Length = 10,
        scale: Annotated[float, Field(gt=0, description="noise norm over gradient norm")] = 10.0,
    ) -> None:
        self.steps, self.scale = range(start, start + length), scale

    def disturb(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Add the noise in place."""
        for gradient in gradients.values():
            noise = torch.randn(gradient.shape, generator=generator).to(gradient)
            gradient.add_(noise * (self.scale * gradient.norm() / gradient.numel() ** 0.5))


class FaultSet:
    """The faults of a config, in its order."""

    def __init__(self, components: Sequence[Component] = (), *, vocabulary: int = 0) -> None:
        registry = REGISTRIES["fault"]
        self.faults: list[tuple[str, Fault]] = [
            (component.name, registry.build(component.spec, vocabulary=vocabulary)) for component in components
        ]

    def striking(self, data_step: int, streams: Streams) -> "Striking":
        """The faults that strike at a data step."""
        found = [
            (name, fault, (index, data_step))
            for index, (name, fault) in enumerate(self.faults)
            if data_step in fault.steps
        ]
        return Striking(found, streams)


class Striking:
    """The faults of one step."""

    def __init__(self, faults: list[tuple[str, Fault, tuple[int, int]]], streams: Streams) -> None:
        self._faults, self._streams = faults, streams

    @property
    def names(self) -> list[str]:
        """Their names, in order."""
        return [name for name, _, _ in self._faults]

    def batch(self, batch: Batch, index: int) -> Batch:
        """The micro-batch `index` as they leave it."""
        for _, fault, place in self._faults:
            batch = fault.batch(batch, self._streams.at("faults", *place, index))
        return batch

    def lr_factor(self) -> float:
        """Their common factor on the learning rate."""
        factor = 1.0
        for _, fault, _ in self._faults:
            factor *= fault.lr_factor()
        return factor

    def disturb(self, gradients: dict[str, Tensor]) -> None:
        """Let them change the gradients in place."""
        for _, fault, place in self._faults:
            fault.disturb(gradients, self._streams.at("faults", *place, -1))
