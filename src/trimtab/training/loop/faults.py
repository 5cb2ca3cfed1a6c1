"""Faults injected on purpose, so that a controller's detections and remedies can be scored against the truth.

A fault acts at given *data steps*. The data step is the number of batches drawn so far: the step number in a run without rewinds;
a rewind does not set it back. The step's row names the active faults under `faults`. A regime controller does not see them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trimtab.config import REGISTRIES, Component
from trimtab.data import Batch
from trimtab.random import Streams


class Fault:
    """Base of all faults: acts at the data steps in `steps`. This one changes nothing."""

    steps: Sequence[int] = ()

    def batch(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch to train on instead of `batch`."""
        return batch

    def lr_factor(self) -> float:
        """The factor on the learning rate."""
        return 1.0

    def disturb(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Change the accumulated gradients in place, before their norm is taken."""


class FaultSet:
    """The faults of a config, in its order."""

    def __init__(self, components: Sequence[Component] = (), *, vocabulary: int = 0) -> None:
        registry = REGISTRIES["fault"]
        self.faults: list[tuple[str, Fault]] = [
            (component.name, registry.build(component.spec, vocabulary=vocabulary)) for component in components
        ]

    def active(self, data_step: int, streams: Streams) -> "ActiveFaults":
        """The faults that act at a data step."""
        active = [
            (name, fault, (index, data_step))
            for index, (name, fault) in enumerate(self.faults)
            if data_step in fault.steps
        ]
        return ActiveFaults(active, streams)


class ActiveFaults:
    """The faults of one step."""

    def __init__(self, faults: list[tuple[str, Fault, tuple[int, int]]], streams: Streams) -> None:
        self._faults, self._streams = faults, streams

    @property
    def names(self) -> list[str]:
        """The names of the faults, in order."""
        return [name for name, _, _ in self._faults]

    def batch(self, batch: Batch, index: int) -> Batch:
        """The micro-batch `index` after all of the faults."""
        for _, fault, place in self._faults:
            batch = fault.batch(batch, self._streams.at("faults", *place, index))
        return batch

    def lr_factor(self) -> float:
        """The product of the faults' factors on the learning rate."""
        factor = 1.0
        for _, fault, _ in self._faults:
            factor *= fault.lr_factor()
        return factor

    def disturb(self, gradients: dict[str, Tensor]) -> None:
        """Apply the faults to the gradients, in place."""
        for _, fault, place in self._faults:
            fault.disturb(gradients, self._streams.at("faults", *place, -1))
