"""The built-in learning rules, as examples of the `rule` kind of hook."""

import re
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from trimtab.models.layers import Linear
from trimtab.random import Streams
from trimtab.training.loop.hook import LearningRule, SupportsStep


class SignDescent(LearningRule):
    """Sign descent with momentum (signum, Bernstein et al. 2018): θ ← θ − lr · sign(β m + (1 − β) g)."""

    def __init__(
        self, *, momentum: Annotated[float, Field(ge=0, lt=1, description="β, the momentum's decay")] = 0.9
    ) -> None:
        self.momentum = momentum
        self.average: dict[str, Tensor] = {}

    def update(self, parameters: dict[str, nn.Parameter], lr: float, optimizer: SupportsStep) -> None:
        """Move every parameter by ±lr along its averaged gradient's sign."""
        for name, parameter in parameters.items():
            if parameter.grad is None:
                continue
            average = self.average.setdefault(name, torch.zeros_like(parameter))
            average.mul_(self.momentum).add_(parameter.grad, alpha=1 - self.momentum)
            parameter.sub_(average.sign(), alpha=lr)

    def state_dict(self) -> dict[str, Any]:
        """The momentum."""
        return {"average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the momentum to what `state_dict` returned."""
        self.average = state["average"]


class _FixedFeedback(torch.autograd.Function):
    """y = x Wᵀ + b, whose backward pass multiplies the error by a fixed matrix instead of W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        ctx.save_for_backward(x, feedback)
        ctx.has_bias = bias is not None
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        (error,) = gradients
        x, feedback = ctx.saved_tensors
        flat = error.flatten(0, -2)
        bias = flat.sum(0) if ctx.has_bias else None
        return error @ feedback.to(error.dtype), flat.T @ x.flatten(0, -2), bias, None


class RandomFeedback(LearningRule):
    """Feedback alignment (Lillicrap et al. 2016) in the MLP blocks: errors pass backward through fixed random matrices.

    The update is the optimiser's. Only the gradients below each replaced map change.
    """

    def __init__(
        self,
        *,
        layers: Annotated[
            str, Field(description="regular expression of the linear maps to replace")
        ] = r"blocks\.\d+\.mlp\..*",
    ) -> None:
        self.layers = layers

    def setup(self, model: nn.Module, streams: Streams) -> None:
        """Draw a feedback matrix for each map, at the scale of its weights, and use it in the map's backward pass."""
        replaced = 0
        for index, (name, module) in enumerate(model.named_modules()):
            if isinstance(module, nn.Linear | Linear) and re.fullmatch(self.layers, name):
                drawn = torch.randn(module.weight.shape, generator=streams.at("noise", -2, index))
                feedback = drawn.to(module.weight.device) * module.weight.shape[1] ** -0.5
                _send_back_through(module, feedback)
                replaced += 1
        if not replaced:
            raise ValueError(f"layers: no linear map of this model matches '{self.layers}'")


def _send_back_through(module: nn.Linear | Linear, feedback: Tensor) -> None:
    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        result: Tensor = _FixedFeedback.apply(x, weight, bias, feedback)  # type: ignore[no-untyped-call]
        return result

    if isinstance(module, Linear):
        module.function = function
    else:
        module.forward = lambda x: function(x, module.weight, module.bias)  # type: ignore[method-assign,assignment]
