"""Positions of tokens, and the position encodings made from them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Rotation = tuple[Tensor, Tensor]
"""cos and sin, each [batch or 1, time, 1, half the head size]."""


def position_ids(
    length: int, real: Bool[Tensor, "batch time"] | None, device: torch.device, start: int = 0
) -> Int[Tensor, "rows time"]:
    """The position of each token: counted from `start`, or, with padding, the number of real tokens before it."""
    if real is None:
        return torch.arange(start, start + length, device=device)[None]
    return (real.long().cumsum(dim=1) - 1).clamp_(min=0)


def _angles(positions: Int[Tensor, "rows time"], pairs: int, base: float) -> Float[Tensor, "rows time pairs"]:
    """position · base^(−i / pairs) for each pair i, in fp64 where the device has it."""
    dtype = torch.float32 if positions.device.type == "mps" else torch.float64
    exponents = torch.arange(pairs, dtype=dtype, device=positions.device) / pairs
    return positions[..., None].to(dtype) * base**-exponents


def sinusoidal(positions: Int[Tensor, "rows time"], width: int, dtype: torch.dtype) -> Float[Tensor, "rows time width"]:
    """The fixed encodings of Vaswani et al. 2017: sines, then cosines, of wavelengths from 2π to 10000 · 2π."""
    angles = _angles(positions, width // 2, 10_000.0)
    return torch.cat((angles.sin(), angles.cos()), dim=-1).to(dtype)


def rotation(positions: Int[Tensor, "rows time"], size: int, dtype: torch.dtype) -> Rotation:
    """The rotary tables (Su et al. 2021, base 10000) for heads of an even `size`."""
    angles = _angles(positions, size // 2, 10_000.0)[:, :, None]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Float[Tensor, "batch time heads size"], tables: Rotation) -> Float[Tensor, "batch time heads size"]:
    """`x` with each pair (i, i + size/2) rotated by its angle, computed in the tables' precision."""
    cos, sin = tables
    first, second = x.to(cos.dtype).chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
