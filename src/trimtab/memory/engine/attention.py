"""Attention over packed segments: batched matrix products, one batch per group of segments of similar length."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trimtab.config.offline import offline_import
from trimtab.memory.engine.packing import Packing

ATTENTION_NAME = "trimtab_packed"
"""The name under which `packed_attention` is registered with transformers."""


class Rearranged(torch.autograd.Function):
    """Rows in another order, by one copy forward and one backward.

    `forth` may list a row twice; the second time it is padding, which nothing attends to and which has no gradient. `padded`
    lists the rows of `x` that are padding and get gradient 0.
    """

    @staticmethod
    def forward(
        context: Any,
        x: Float[Tensor, "rows width"],
        forth: Int[Tensor, " other"],
        back: Int[Tensor, " rows"],
        padded: Int[Tensor, " padded"] | None,
    ) -> Float[Tensor, "other width"]:
        """`x[forth]`."""
        context.save_for_backward(back, padded)
        return x.index_select(0, forth)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """`gradient[back]`, 0 where `x` is padding."""
        back, padded = context.saved_tensors
        result = gradient.index_select(0, back)
        if padded is not None:
            result.index_fill_(0, padded, 0.0)
        return result, None, None, None


def register() -> None:
    """Register `packed_attention` with the transformers library."""
    offline_import("transformers").AttentionInterface.register(ATTENTION_NAME, packed_attention)


def packed_attention(
    module: nn.Module,
    query: Float[Tensor, "1 heads positions size"],
    key: Float[Tensor, "1 kv_heads positions size"],
    value: Float[Tensor, "1 kv_heads positions size"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    packing: Packing | None = None,
    **options: Any,
) -> tuple[Float[Tensor, "1 positions heads size"], None]:
    """softmax(Q Kᵀ · scaling) V within each segment of `packing`, as a transformers attention function.

    Raises:
        ValueError: the network needs more than plain causal attention (a sliding window shorter than a segment, a soft cap,
            attention sinks, dropout), or does not pass the packing on.
    """
    del module, attention_mask
    if packing is None:
        raise ValueError("the network did not pass the packing on to its attention")
    window = options.get("sliding_window")
    if window is not None and any(group.length > window for group in packing.groups):
        raise ValueError(f"its attention window is only {window} tokens")
    if dropout or any(options.get(name) is not None for name in ("softcap", "s_aux")):
        raise ValueError("its attention has dropout, a soft cap or sinks")
    heads, positions, size = query.shape[1:]
    kv_heads = key.shape[1]
    shared = heads // kv_heads
    scale = size**-0.5 if scaling is None else scaling
    q, k, v = (
        _rearranged(x[0].transpose(0, 1).reshape(positions, -1), packing.to_groups, packing.from_groups, None)
        for x in (query, key, value)
    )
    outputs, start = [], 0
    for group in packing.groups:
        n, length = group.count, group.length
        rows = slice(start, start + n * length)
        start += n * length
        queries = (q[rows] * scale).view(n, length, kv_heads, shared, size).permute(0, 2, 3, 1, 4)
        keys = k[rows].view(n, length, kv_heads, size).permute(0, 2, 3, 1)
        values = v[rows].view(n, length, kv_heads, size).permute(0, 2, 1, 3)
        scores = torch.bmm(
            queries.reshape(n * kv_heads, shared * length, size), keys.reshape(n * kv_heads, size, length)
        ).view(n, kv_heads, shared, length, length)
        weights = scores.masked_fill(group.hidden, float("-inf")).softmax(-1)
        mixed = torch.bmm(
            weights.view(n * kv_heads, shared * length, length), values.reshape(n * kv_heads, length, size)
        )
        outputs.append(
            mixed.view(n, kv_heads, shared, length, size).permute(0, 3, 1, 2, 4).reshape(n * length, heads * size)
        )
    joined = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
    back = _rearranged(joined, packing.from_groups, packing.to_groups, packing.padded)
    return back.view(1, positions, heads, size), None


_rearranged: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor] = Rearranged.apply
