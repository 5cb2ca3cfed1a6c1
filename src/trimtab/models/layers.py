"""The layers of a block: linear layers, norms and the feed-forward part."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
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

    def forward(self, x: Float[Tensor, "... width"], dtype: torch.dtype | None = None) -> Float[Tensor, "... width"]:
        """x, centred and scaled to unit variance, times the weight plus the bias; in `dtype` if it is given."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5).to(dtype or x.dtype)


class _RMSNorm(torch.autograd.Function):
    """x / rms(x) · weight, rounded to `dtype` at the end, in seven passes over memory forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = norm.square_().div_(x.shape[-1]).add_(RMSNorm.EPSILON).rsqrt_()
        normed = x * inverse
        ctx.save_for_backward(normed, weight, inverse)
        result: Tensor = (normed * weight).to(dtype)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, weight, inverse = ctx.saved_tensors
        wide = gradient.to(normed.dtype)
        product = normed * wide
        mean = (product @ weight).div_(weight.numel()).unsqueeze(-1)
        dx = (wide * weight).addcmul_(normed, mean, value=-1).mul_(inverse)
        return dx, product.flatten(0, -2).sum(0), None


class RMSNorm(nn.Module):
    """Root-mean-square normalisation (Zhang and Sennrich 2019) over the last dimension, ε = 1e-6."""

    EPSILON = 1e-6

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "... width"], dtype: torch.dtype | None = None) -> Float[Tensor, "... width"]:
        """x over its root mean square, times the weight; in `dtype` if it is given."""
        if x.device.type == "cpu":
            result: Tensor = _RMSNorm.apply(x, self.weight, dtype or x.dtype)  # type: ignore[no-untyped-call]
            return result
        return functional.rms_norm(x, self.weight.shape, self.weight, self.EPSILON).to(dtype or x.dtype)


class _SwiGLU(torch.autograd.Function):
    """silu(gate) · value, where gate and value are the halves of one tensor; the gradient is written into one tensor too."""

    @staticmethod
    def forward(ctx: Any, halves: Tensor) -> Tensor:
        gate, value = halves.chunk(2, dim=-1)
        open_gate = functional.silu(gate)
        ctx.save_for_backward(halves, open_gate)
        return open_gate * value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        halves, open_gate = ctx.saved_tensors
        gate, value = halves.chunk(2, dim=-1)
        result = torch.empty_like(halves)
        d_gate, d_value = result.chunk(2, dim=-1)
        torch.ops.aten.silu_backward.grad_input(gradient * value, gate, grad_input=d_gate)
        torch.mul(gradient, open_gate, out=d_value)
        return result


def swiglu(halves: Float[Tensor, "... both"]) -> Float[Tensor, "... half"]:
    """silu(first half) · second half."""
    if halves.device.type == "cpu":
        result: Tensor = _SwiGLU.apply(halves)  # type: ignore[no-untyped-call]
        return result
    gate, value = halves.chunk(2, dim=-1)
    return functional.silu(gate) * value


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
            hidden = swiglu(hidden)
        elif self.activation == "relu2":
            hidden = functional.relu(hidden).square()
        else:
            hidden = functional.gelu(hidden)
        output: Tensor = self.down(hidden)
        return output
