"""The four kinds of hook, and what each may do.

A hook is a class with a `kind`. Its config parameters are its keyword-only `__init__` parameters. If it has a state, checkpoints
keep it by `state_dict` and `load_state_dict` (numbers, text, lists, mappings and tensors).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from trimtab.random import Streams

Row = Mapping[str, Any]


class Hook:
    """Base of all hooks, without state."""

    kind: ClassVar[str]

    def setup(self, model: nn.Module, streams: Streams) -> None:
        """Called once, before the first step, also of a resumed run."""

    def state_dict(self) -> dict[str, Any]:
        """The hook's state, as checkpoints keep it."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""


class Observer(Hook):
    """Reads and changes nothing: kind `observe`.

    `on_activation` receives the output of every module whose name matches `layers` (a regular expression), in the first
    forward pass of every `every`-th step. Writing to it, or to a parameter of the model, fails the run with the hook's name.
    """

    kind: ClassVar[str] = "observe"
    every: int = 1
    layers: str = r"blocks\.\d+"
    collects: ClassVar[bool] = False
    """Whether the loss receives the outputs of `layers`, in every pass and with their graph (in `batch_metadata`)."""

    def on_activation(self, layer: str, activation: Tensor) -> None:
        """Receives one module's output."""

    def activation_stats(self) -> Mapping[str, Mapping[str, float]]:
        """The newest figures of each layer: for `RegimeState.activation_stats`, and for the row of every `every`-th step."""
        return {}

    def on_step(self, row: Row) -> Mapping[str, Any] | None:
        """Receives a copy of the step's row. What it returns is recorded in the row under `observers` and the hook's name."""

    def on_evaluation(self, row: Row) -> None:
        """Receives a copy of an evaluation's row."""

    def on_checkpoint(self, step: int) -> None:
        """Called before the checkpoint of `step` is written, so that the checkpoint has the hook's state after this call."""

    def on_end(self, summary: Row) -> None:
        """Receives the run's final figures."""


class Modulator(Hook):
    """Changes activations, in training, evaluation and sampling: kind `modulate`."""

    kind: ClassVar[str] = "modulate"
    layers: str = r"blocks\.\d+"

    def modulate(self, layer: str, activation: Tensor) -> Tensor:
        """Returns the activation to use instead; must be differentiable."""
        return activation


class GradientTransform(Hook):
    """Changes the gradient before it is clipped and used: kind `gradient`."""

    kind: ClassVar[str] = "gradient"

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Change the accumulated gradients in place; draw from `generator`, which depends on the step alone."""


class LearningRule(Hook):
    """Replaces the optimiser's update: kind `rule`. A run has at most one."""

    kind: ClassVar[str] = "rule"

    def update(self, parameters: dict[str, nn.Parameter], lr: float, optimizer: "SupportsStep") -> None:
        """Change the parameters in place from their `.grad`. This one makes the optimiser's own step."""
        optimizer.step()


class SupportsStep(Protocol):
    """An optimiser, as a learning rule uses it."""

    def step(self) -> Any:
        """Make the update."""
        ...
