"""The layers of a block: linear layers, norms and the feed-forward part."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LinearFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(input, weight [out, in], bias [out] or None) -> output, all of one dtype, as in `functional.linear`."""


class Linear(nn.Module):
    """x Wᵀ + b in the dtype of x, even if the parameters have another.

    `function` computes it and may be replaced, for example by a custom autograd function whose backward pass is another learning
    rule. The parameters are uninitialised until `Decoder.initialise`.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.function: LinearFunction = functional.linear

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        """The product, in the dtype of `x`."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return self.function(x, self.weight.to(x.dtype), bias)


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016) over the last dimension, ε = 1e-5."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width)) if bias else None

    def forward(self, x: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
        """x, centred and scaled to unit variance, times the weight plus the bias."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation (Zhang and Sennrich 2019) over the last dimension, ε = 1e-6."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
        """x over its root mean square, times the weight."""
        return functional.rms_norm(x, self.weight.shape, self.weight, 1e-6)


def make_norm(kind: str, width: int, *, bias: bool) -> LayerNorm | RMSNorm:
    """The norm named `kind`: "layer" or "rms" (which never has a bias)."""
    return LayerNorm(width, bias=bias) if kind == "layer" else RMSNorm(width)


class Mlp(nn.Module):
    """The feed-forward part: `down(activation(up(x)))`, with two replaceable linear layers.

    "gelu" is the exact (erf) form of Hendrycks and Gimpel 2016; "relu2" is relu(x)² (So et al. 2021); "swiglu" is
    silu(gate) * value (Shazeer 2020), where gate and value are the two halves of `up(x)`.
    """

    def __init__(self, width: int, ff: int, activation: str, *, bias: bool) -> None:
        super().__init__()
        self.activation = activation
        self.up = Linear(width, 2 * ff if activation == "swiglu" else ff, bias=bias)
        self.down = Linear(ff, width, bias=bias)

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """The output of the branch, before dropout."""
        hidden = self.up(x)
        if self.activation == "swiglu":
            gate, value = hidden.chunk(2, dim=-1)
            hidden = functional.silu(gate) * value
        elif self.activation == "relu2":
            hidden = functional.relu(hidden).square()
        else:
            hidden = functional.gelu(hidden)
        output: Tensor = self.down(hidden)
        return output
