"""RMS normalisation with a frozen weight, which saves the computation of the weight's gradient."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FrozenRMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x²) + ε) · weight (Zhang & Sennrich 2019), computed in at least fp32 and returned in x's precision."""

    @staticmethod
    def forward(
        context: Any, x: Float[Tensor, "*rows width"], weight: Float[Tensor, " width"], epsilon: float
    ) -> Float[Tensor, "*rows width"]:
        """The normalised rows."""
        wide = x.to(weight.dtype)
        factor = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        unit = wide * factor
        context.save_for_backward(unit.to(x.dtype), factor, weight)
        return (unit * weight).to(x.dtype)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """(g·w − u · mean(g·w·u)) / rms, where u are the unit rows."""
        unit, factor, weight = context.saved_tensors
        weighted, unit = gradient.to(weight.dtype) * weight, unit.to(weight.dtype)
        result = (weighted - unit * (weighted * unit).mean(-1, keepdim=True)) * factor
        return result.to(gradient.dtype), None, None


class _Norm(nn.Module):
    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        wide = weight if weight.dtype == torch.float64 else weight.float()
        self.weight = nn.Parameter(wide.detach(), requires_grad=False)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return _normalised(x, self.weight, self.epsilon)


_KNOWN = {
    "LlamaRMSNorm",
    "MistralRMSNorm",
    "Qwen2RMSNorm",
    "Qwen3RMSNorm",
    "SmolLM3RMSNorm",
    "Phi3RMSNorm",
    "OlmoeRMSNorm",
}
"""The norms of transformers that compute exactly this; others, such as Gemma's (which adds 1 to its weight), are kept."""


def replace_norms(network: nn.Module) -> None:
    """Replace the norms of a frozen network that `FrozenRMSNorm` can compute."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child).__name__ in _KNOWN:
                epsilon: Any = child.variance_epsilon
                weight: Any = child.weight
                setattr(module, name, _Norm(weight, float(epsilon)))


_normalised: Callable[[Tensor, Tensor, float], Tensor] = FrozenRMSNorm.apply
