"""A transformer block (pre-norm) and its attention part."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trimtab.models.attention_core import attend, causal_attention
from trimtab.models.dropout import Masks, add_dropped
from trimtab.models.heads import split_heads
from trimtab.models.layers import Linear, Mlp, RMSNorm, make_norm
from trimtab.models.positions import Rotation


class KeyValues:
    """The cached keys and values of one layer, [batch, kv_heads, capacity, size], filled from the left."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new positions; returns all cached ones."""
        if self._keys is None or self._values is None:
            shape = (*k.shape[:2], self.capacity, k.shape[3])
            self._keys, self._values = k.new_empty(shape), v.new_empty(shape)
        end = self.length + k.shape[2]
        assert end <= self.capacity, "the cache is full"
        self._keys[:, :, self.length : end] = k
        self._values[:, :, self.length : end] = v
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Remove all other rows of the batch."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[rows], self._values[rows]


@dataclass(frozen=True)
class Pass:
    """Data that all blocks share in one forward pass.

    `compute` is the precision of matrix products. `allowed` says which keys a query may attend to, where plain causality is not
    enough. `tables` are the rotary tables, `masks` the dropout masks (None: no dropout).
    """

    compute: torch.dtype
    allowed: Bool[Tensor, "#batch 1 queries keys"] | None = None
    tables: Rotation | None = None
    masks: Masks | None = None


class Attention(nn.Module):
    """Causal self-attention with grouped queries: `kv_heads` key and value heads serve `heads` query heads.

    With `qk_norm`, queries and keys are RMS-normalised per head before the rotary embedding (Henry et al. 2020; Dehghani et al.
    2023).
    """

    def __init__(self, width: int, heads: int, kv_heads: int, *, qk_norm: bool, bias: bool) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.qkv = Linear(width, (heads + 2 * kv_heads) * self.size, bias=bias)
        self.output = Linear(width, width, bias=bias)
        self.q_norm = RMSNorm(self.size) if qk_norm else None
        self.k_norm = RMSNorm(self.size) if qk_norm else None

    def forward(
        self, x: Float[Tensor, "batch time width"], shared: Pass, cache: KeyValues | None = None
    ) -> Float[Tensor, "batch time width"]:
        """The output of the branch, before dropout. `x` is in the compute precision."""
        batch, length, _ = x.shape
        joint = self.qkv(x).view(batch, length, -1, self.size)
        norms = (
            (self.q_norm.weight, self.k_norm.weight) if self.q_norm is not None and self.k_norm is not None else None
        )
        q, k, v = split_heads(joint, self.kv_heads, norms, shared.tables)
        if cache is None:
            mixed = causal_attention(q, k, v, allowed=shared.allowed, masks=shared.masks)
        else:
            keys, values = cache.append(k, v)
            mixed = attend(q, keys, values, allowed=shared.allowed)
        output: Tensor = self.output(mixed)
        return output


class Block(nn.Module):
    """x + dropout(attention(norm(x))), then x + dropout(mlp(norm(x))).

    The residual stream x is in the parameters' precision; the branches compute in the precision of the pass.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        ff: int,
        *,
        norm: str,
        activation: str,
        qk_norm: bool,
        bias: bool,
    ) -> None:
        super().__init__()
        self.attention_norm = make_norm(norm, width, bias=bias)
        self.attention = Attention(width, heads, kv_heads, qk_norm=qk_norm, bias=bias)
        self.mlp_norm = make_norm(norm, width, bias=bias)
        self.mlp = Mlp(width, ff, activation, bias=bias)

    def forward(
        self, x: Float[Tensor, "batch time width"], shared: Pass, cache: KeyValues | None = None
    ) -> Float[Tensor, "batch time width"]:
        """The residual stream after this block."""
        branch = self.attention(self.attention_norm(x, shared.compute), shared, cache)
        x = add_dropped(x, branch, shared.masks)
        branch = self.mlp(self.mlp_norm(x, shared.compute))
        return add_dropped(x, branch, shared.masks)
