"""Disturbances of memory vectors: added noise, and quantisation to a few bits."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.random import derive_seed

NOISE = (0.02, 0.05, 0.1, 0.2)
"""Norms of the noise, relative to the vector's norm."""

INTEGERS = {"int8": 127, "int4": 7}
"""The largest integer of a quantisation, on either side of 0."""


@dataclass(frozen=True)
class Disturbance:
    """`kind` is noise, int8 or int4, or bf16 or fp32 for undisturbed vectors in that precision. `level` and `draw` belong to
    noise."""

    kind: str
    level: float | None = None
    draw: int = 0


def disturbances(draws: int) -> list[Disturbance]:
    """Every noise level, `draws` times each, and every quantisation."""
    noises = [Disturbance("noise", level, draw) for level in NOISE for draw in range(draws)]
    return [*noises, *(Disturbance(kind) for kind in INTEGERS)]


def disturbance_names(*, bf16: bool = False) -> list[str]:
    """The names of all disturbances and precisions in a run's metrics, such as `noise_0.05`; with bf16 if the run uses it."""
    precisions = [Disturbance("bf16")] if bf16 else []
    return [disturbance_name(one.kind, one.level) for one in [*disturbances(1), *precisions, Disturbance("fp32")]]


def disturbance_name(kind: str, level: float | None) -> str:
    """A disturbance's name in a run's metrics."""
    return kind if level is None else f"{kind}_{level:g}"


def disturb(vectors: Float[Tensor, "k d"], disturbance: Disturbance, seed: int, pair: str) -> Float[Tensor, "k d"]:
    """The vectors under a disturbance.

    The noise depends on seed, pair and draw only: the levels scale one direction, and two memories of one pair get the same
    noise.
    """
    if disturbance.kind in INTEGERS:
        return quantised(vectors, INTEGERS[disturbance.kind])
    if disturbance.level is None:
        return vectors
    return (
        vectors + gaussian_directions(vectors, derive_seed(seed, "noise", pair, disturbance.draw)) * disturbance.level
    )


def gaussian_directions(vectors: Float[Tensor, "k d"], seed: int) -> Float[Tensor, "k d"]:
    """Gaussian directions, each scaled to the norm of its vector."""
    drawn = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = drawn.to(vectors.device)
    scale: Tensor = vectors.double().norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True)
    return (drawn * scale).to(vectors.dtype)


def quantised(vectors: Float[Tensor, "k d"], largest: int) -> Float[Tensor, "k d"]:
    """Each vector quantised and dequantised with integers from −largest to largest.

    Symmetric round-to-nearest without a zero point; the scale of a vector is its largest absolute entry / largest.
    """
    scale: Tensor = vectors.abs().amax(1, keepdim=True) / largest
    unit = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (vectors / unit).round().clamp(-largest, largest) * unit
