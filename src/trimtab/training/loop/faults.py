"""Faults injected on purpose, with known truth, so that what detects and mends them can be scored.

A fault strikes by the run's *data step*: the number of batches drawn so far, which is the step number in a run that never
rewound and moves on through a rewind, as the data does. The step's row names what struck under `faults`; nothing of it
is shown to a regime controller.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trimtab.config import REGISTRIES, Component
from trimtab.data import Batch
from trimtab.random import Streams


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
