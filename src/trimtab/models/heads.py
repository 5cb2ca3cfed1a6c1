"""From the joint projection to queries, keys and values: split, normalised, rotated, scaled, and laid out head by head.

On a CPU this is one step with a hand-written backward pass: each value is converted to the parameters' precision once and back
once, and the gradient of the projection is written in place instead of being put together from three parts.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trimtab.models.layers import RMSNorm
from trimtab.models.positions import Rotation, rotate

Heads = tuple[
    Float[Tensor, "batch heads time size"],
    Float[Tensor, "batch kv_heads time size"],
    Float[Tensor, "batch kv_heads time size"],
]


def split_heads(
    joint: Float[Tensor, "batch time all_heads size"],
    kv_heads: int,
    norms: tuple[Float[Tensor, " size"], Float[Tensor, " size"]] | None,
    tables: Rotation | None,
) -> Heads:
    """Queries times 1/√size, keys and values, in the precision of `joint`.

    The last `2 * kv_heads` heads of `joint` are the keys and the values. With `norms` (the weights for queries and keys), queries
    and keys are first RMS-normalised per head; with `tables` they are then rotated.
    """
    heads = joint.shape[2] - 2 * kv_heads
    scale = 1.0 / math.sqrt(joint.shape[3])
    if joint.device.type == "cpu" and (norms is not None or tables is not None):
        q_weight, k_weight = norms if norms is not None else (None, None)
        cos, sin = tables if tables is not None else (None, None)
        result: Heads = _NormedRotated.apply(joint, q_weight, k_weight, cos, sin, kv_heads, scale)  # type: ignore[no-untyped-call]
        return result
    if joint.device.type == "cpu":
        plain: Heads = _Split.apply(joint, kv_heads, scale)  # type: ignore[no-untyped-call]
        return plain
    q, k, v = torch.split(joint, [heads, kv_heads, kv_heads], dim=2)
    if norms is not None:
        q, k = (_normed(x, weight) for x, weight in ((q, norms[0]), (k, norms[1])))
    if tables is not None:
        q, k = rotate(q, tables), rotate(k, tables)
    return q.transpose(1, 2) * scale, k.transpose(1, 2), v.transpose(1, 2)


def _normed(x: Tensor, weight: Tensor) -> Tensor:
    return torch.nn.functional.rms_norm(x.to(weight.dtype), weight.shape, weight, RMSNorm.EPSILON).to(x.dtype)


def heads_first(values: Tensor, scale: float = 1.0) -> Tensor:
    """[batch, time, heads, size] -> contiguous [batch, heads, time, size], times `scale`."""
    view = values.transpose(1, 2)
    if scale == 1.0:
        return view.contiguous()
    return torch.mul(view, scale, out=torch.empty(view.shape, dtype=values.dtype, device=values.device))


class _Split(torch.autograd.Function):
    """Queries, keys and values as they are."""

    @staticmethod
    def forward(ctx: Any, joint: Tensor, kv_heads: int, scale: float) -> Heads:
        ctx.shape, ctx.scale = joint.shape, scale
        q, k, v = torch.split(joint, [joint.shape[2] - 2 * kv_heads, kv_heads, kv_heads], dim=2)
        return heads_first(q, scale), heads_first(k), heads_first(v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dq: Tensor, dk: Tensor, dv: Tensor) -> tuple[Tensor, None, None]:
        gradient = dq.new_empty(ctx.shape)
        heads, kv_heads = dq.shape[1], dk.shape[1]
        torch.mul(dq.transpose(1, 2), ctx.scale, out=gradient[:, :, :heads])
        gradient[:, :, heads : heads + kv_heads] = dk.transpose(1, 2)
        gradient[:, :, heads + kv_heads :] = dv.transpose(1, 2)
        return gradient, None, None


class _NormedRotated(torch.autograd.Function):
    """Queries and keys RMS-normalised per head, rotated, or both; values as they are.

    With x̂ = x / rms(x), weights w and the rotation R, a head becomes R(w · x̂). The backward pass needs u = Rᵀ(gradient) only:
    dw = Σ x̂ · u and dx = (w · u − x̂ · mean(w · u · x̂)) / rms(x). The scale of the queries is part of their w.
    """

    @staticmethod
    def forward(
        ctx: Any,
        joint: Tensor,
        q_weight: Tensor | None,
        k_weight: Tensor | None,
        cos: Tensor | None,
        sin: Tensor | None,
        kv_heads: int,
        scale: float,
    ) -> Heads:
        batch, length, all_heads, size = joint.shape
        heads, turned = all_heads - 2 * kv_heads, all_heads - kv_heads
        dtype = q_weight.dtype if q_weight is not None else cos.dtype  # type: ignore[union-attr]
        weight = _weights(q_weight, k_weight, heads, kv_heads, scale, size, dtype)
        x = torch.empty(batch, turned, length, size, dtype=dtype)
        x.copy_(joint[:, :, :turned].transpose(1, 2))
        inverse = None
        if q_weight is not None:
            norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            inverse = norm.square_().div_(size).add_(RMSNorm.EPSILON).rsqrt_()
            x.mul_(inverse)
        y = x * weight
        if cos is not None and sin is not None:
            cos, sin = cos.transpose(1, 2), sin.transpose(1, 2)
            y = _rotated(y, cos, sin)
        ctx.save_for_backward(x, weight, inverse, cos, sin)
        ctx.shape, ctx.scale, ctx.dtype = joint.shape, scale, joint.dtype
        y = y.to(joint.dtype)
        return y[:, :heads].contiguous(), y[:, heads:].contiguous(), heads_first(joint[:, :, turned:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dq: Tensor, dk: Tensor, dv: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse, cos, sin = ctx.saved_tensors
        heads, turned = dq.shape[1], x.shape[1]
        u = torch.empty_like(x)
        u[:, :heads], u[:, heads:] = dq, dk
        if cos is not None:
            u = _rotated(u, cos, -sin)
        dq_weight = dk_weight = None
        if inverse is None:
            dx = u.mul_(weight)
        else:
            product = x * u
            by_head = product.sum(dim=(0, 2))
            dq_weight, dk_weight = by_head[:heads].sum(0).mul_(ctx.scale), by_head[heads:].sum(0)
            mean = product.mul_(weight).mean(dim=-1, keepdim=True)
            dx = u.mul_(weight).addcmul_(x, mean, value=-1).mul_(inverse)
        joint = torch.empty(ctx.shape, dtype=ctx.dtype)
        joint[:, :, :turned] = dx.transpose(1, 2)
        joint[:, :, turned:] = dv.transpose(1, 2)
        return joint, dq_weight, dk_weight, None, None, None, None


def _weights(
    q_weight: Tensor | None,
    k_weight: Tensor | None,
    heads: int,
    kv_heads: int,
    scale: float,
    size: int,
    dtype: torch.dtype,
) -> Float[Tensor, "turned 1 size"]:
    """The factor of each value of each query and key head: the norms' weights, with the queries' scale."""
    if q_weight is None or k_weight is None:
        q_weight = k_weight = torch.ones(size, dtype=dtype)
    return torch.cat(((q_weight * scale).expand(heads, size), k_weight.expand(kv_heads, size)))[:, None]


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`x` with each pair (i, i + size/2) rotated by its angle."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    y = torch.empty_like(x)
    torch.mul(first, cos, out=y[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=y[..., half:]).addcmul_(first, sin)
    return y
