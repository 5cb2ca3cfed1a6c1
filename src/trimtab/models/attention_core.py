"""Causal attention with dropout on the weights: in blocks of queries on a CPU, by torch's own operations elsewhere.

On a CPU, queries are processed in blocks, and a block multiplies only the keys up to its own end, so most of the masked upper
triangle costs nothing: no dropout mask, no softmax, no product. Weights, masks and products are in the compute precision;
softmax uses fp32 internally. torch's fused CPU kernel has no dropout, and its backward pass is slower than this one at these
lengths.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from trimtab.models.dropout import Masks, apply_mask, apply_mask_, dropout
from trimtab.models.heads import heads_first

_SMALLEST_BLOCK = 64
_MOST_BLOCKS = 4


def query_blocks(length: int) -> list[tuple[int, int]]:
    """(start, end) of the query blocks of a sequence: at most four, of 64 positions or a quarter; the last may be shorter."""
    size = max(_SMALLEST_BLOCK, math.ceil(length / _MOST_BLOCKS))
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def allowed_keys(real: Bool[Tensor, "batch time"]) -> Bool[Tensor, "batch 1 time time"]:
    """Which keys each query may attend to: real ones up to itself, and always itself, so that no row is empty."""
    length = real.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=real.device)
    return (causal & real[:, None, None, :]) | itself


class _BlockwiseCausal(torch.autograd.Function):
    """Grouped-query causal attention, block by block. Groups of queries that share a key head are stacked as rows."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None, masks: Masks | None) -> Tensor:
        batch, heads, length, size = q.shape
        shared, groups = batch * k.shape[1], heads // k.shape[1]
        q = q.reshape(shared, groups, length, size)
        k, v = k.reshape(shared, length, size), v.reshape(shared, length, size)
        output = torch.empty_like(q)
        saved: list[Tensor] = []
        for start, end in query_blocks(length):
            rows = groups * (end - start)
            scores = torch.bmm(q[:, :, start:end].reshape(shared, rows, size), k[:, :end].contiguous().transpose(1, 2))
            _forbid(scores, allowed, batch, start, end)
            weights = torch.softmax(scores, dim=-1)
            if masks is None:
                dropped = weights
                saved.append(weights)
            else:
                mask = masks.keep(weights.shape, weights.dtype)
                dropped = apply_mask(weights, mask)
                saved += [weights, mask]
            output[:, :, start:end] = torch.bmm(dropped, v[:, :end].contiguous()).view(
                shared, groups, end - start, size
            )
        ctx.save_for_backward(q, k, v, *saved)
        ctx.shape = (batch, heads, length, size)
        ctx.keep_scale = 1.0 if masks is None else masks.scale
        ctx.dropping = masks is not None
        if masks is not None:
            output.mul_(masks.scale)
        return output.view(batch, heads, length, size).transpose(1, 2).reshape(batch, length, heads * size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, *saved = ctx.saved_tensors
        batch, heads, length, size = ctx.shape
        shared, groups = q.shape[:2]
        gradient = heads_first(gradient.view(batch, length, heads, size), ctx.keep_scale).view(q.shape)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        per_block = 2 if ctx.dropping else 1
        for index, (start, end) in reversed(list(enumerate(query_blocks(length)))):
            rows = groups * (end - start)
            weights, mask = saved[per_block * index], saved[per_block * index + 1] if ctx.dropping else None
            rows_gradient = gradient[:, :, start:end].reshape(shared, rows, size)
            dweights = torch.bmm(rows_gradient, v[:, :end].contiguous().transpose(1, 2))
            dropped = weights
            if mask is not None:
                apply_mask_(dweights, mask)
                dropped = apply_mask(weights, mask)
            dv[:, :end].baddbmm_(dropped.transpose(1, 2), rows_gradient)
            dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
            dk[:, :end].baddbmm_(dscores.transpose(1, 2), q[:, :, start:end].reshape(shared, rows, size))
            dq[:, :, start:end] = torch.bmm(dscores, k[:, :end].contiguous()).view(shared, groups, end - start, size)
        kv_shape = (batch, shared // batch, length, size)
        return dq.view(ctx.shape), dk.view(kv_shape), dv.view(kv_shape), None, None


def _forbid(scores: Tensor, allowed: Tensor | None, batch: int, start: int, end: int) -> None:
    """Set the scores of keys that a query of this block may not see to minus infinity, in place."""
    if allowed is None:
        ahead = torch.full((end - start, end - start), -math.inf, dtype=scores.dtype, device=scores.device).triu_(1)
        scores.view(scores.shape[0], -1, end - start, end)[..., start:end].add_(ahead)
    else:
        forbidden = ~allowed[:, :, start:end, :end]
        scores.view(batch, -1, end - start, end).masked_fill_(forbidden, -math.inf)


def causal_attention(
    q: Float[Tensor, "batch heads time size"],
    k: Float[Tensor, "batch kv_heads time size"],
    v: Float[Tensor, "batch kv_heads time size"],
    *,
    allowed: Bool[Tensor, "batch 1 time time"] | None = None,
    masks: Masks | None = None,
) -> Float[Tensor, "batch time width"]:
    """Dot-product attention (Vaswani et al. 2017) of every position to those before it and to itself; `q` is already scaled.

    `allowed` (from `allowed_keys`) replaces plain causality where some positions are padding. `masks` drops attention
    weights after the softmax, without renormalising. `kv_heads` may divide `heads` (grouped-query attention).
    """
    if q.device.type == "cpu":
        result: Tensor = _BlockwiseCausal.apply(q, k, v, allowed, masks)  # type: ignore[no-untyped-call]
        return result
    if masks is None:
        return attend(q, k, v, allowed=allowed, causal=allowed is None)
    repeat = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeat, dim=1), v.repeat_interleave(repeat, dim=1)
    scores = q @ k.transpose(2, 3)
    length = scores.shape[-1]
    seen = torch.ones(length, length, dtype=torch.bool, device=q.device).tril() if allowed is None else allowed
    weights = torch.softmax(scores.masked_fill(~seen, -math.inf), dim=-1)
    return (dropout(weights, masks) @ v).transpose(1, 2).flatten(2)


def attend(
    q: Float[Tensor, "batch heads queries size"],
    k: Float[Tensor, "batch kv_heads keys size"],
    v: Float[Tensor, "batch kv_heads keys size"],
    *,
    allowed: Bool[Tensor, "#batch 1 queries keys"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "batch queries width"]:
    """Attention of scaled queries, without dropout, by torch's own kernel: for other devices, and for cached keys."""
    grouped = q.shape[1] != k.shape[1]
    result = functional.scaled_dot_product_attention(
        q, k, v, attn_mask=allowed, is_causal=causal, enable_gqa=grouped, scale=1.0
    )
    return result.transpose(1, 2).flatten(2)
