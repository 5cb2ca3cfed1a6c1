"""The four kinds of hook, and what each may do.

A hook is a class with a `kind`. Its config parameters are its keyword-only `__init__` parameters; its state, if any, is in
the checkpoint through `state_dict` and `load_state_dict` (numbers, text, lists, mappings and tensors).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from trimtab.random import Streams

Row = Mapping[str, Any]


class Hook:
    """Base of all hooks: no state, nothing to set up."""

    kind: ClassVar[str]

    def setup(self, model: nn.Module, streams: Streams) -> None:
        """Called once, before the first step (also when a run goes on from a checkpoint)."""

    def state_dict(self) -> dict[str, Any]:
        """What must be in the checkpoint for the hook to go on exactly."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` gave."""


class Observer(Hook):
    """Reads, and changes nothing: kind `observe`.

    `on_activation` sees the output of every module whose name matches `layers` (a regular expression), in the first
    forward pass of every `every`-th step. Writing to it, or to a parameter of the model, fails the run with the hook's name.
    """

    kind: ClassVar[str] = "observe"
    every: int = 1
    layers: str = r"blocks\.\d+"
    collects: ClassVar[bool] = False
    """Whether the outputs of `layers` are handed to the loss, in every pass and with their graph (`batch_metadata`)."""

    def on_activation(self, layer: str, activation: Tensor) -> None:
        """Sees one module's output."""

    def activation_stats(self) -> Mapping[str, Mapping[str, float]]:
        """Figures by layer as last measured: in `RegimeState.activation_stats`, and in the row of a step in `every`."""
        return {}

    def on_step(self, row: Row) -> Mapping[str, Any] | None:
        """Receives a copy of the step's row; what it returns is recorded in the row under `observers` and the hook's name."""

    def on_evaluation(self, row: Row) -> None:
        """Sees an evaluation's row."""

    def on_checkpoint(self, step: int) -> None:
        """Called before the checkpoint of `step` is written (state kept now is in it)."""

    def on_end(self, summary: Row) -> None:
        """Sees the final figures."""


class Modulator(Hook):
    """Declared to change activations, in training, evaluation and sampling alike: kind `modulate`."""

    kind: ClassVar[str] = "modulate"
    layers: str = r"blocks\.\d+"

    def modulate(self, layer: str, activation: Tensor) -> Tensor:
        """The activation that takes the place of this one (differentiable)."""
        return activation


class GradientTransform(Hook):
    """Changes the gradient before it is clipped and used: kind `gradient`."""

    kind: ClassVar[str] = "gradient"

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Change the accumulated gradients in place; `generator` is placed at the step."""


class LearningRule(Hook):
    """Takes the place of the optimiser's update: kind `rule`. A run has one at most."""

    kind: ClassVar[str] = "rule"

    def update(self, parameters: dict[str, nn.Parameter], lr: float, optimizer: "SupportsStep") -> None:
        """Change the parameters in place from their `.grad`; the default is the optimiser's own step."""
        optimizer.step()


class SupportsStep(Protocol):
    """An optimiser, as a rule sees it."""

    def step(self) -> Any:
        """Make the update."""
        ...
