"""Memory vectors with noise on them, and vectors rounded to few bits."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.random import derive_seed

NOISE = (0.02, 0.05, 0.1, 0.2)
"""The norm of the noise, as a share of the vector's."""

INTEGERS = {"int8": 127, "int4": 7}
"""The largest integer that a rounding uses, to either side of 0."""


@dataclass(frozen=True)
class Disturbance:
    """`kind` is noise, int8 or int4; or the bf16 or fp32 in which the vectors are read as they are. `level` and `draw` are the
    noise's."""

    kind: str
    level: float | None = None
    draw: int = 0


def disturbances(draws: int) -> list[Disturbance]:
    """Every noise, `draws` times each, and every rounding."""
    noises = [Disturbance("noise", level, draw) for level in NOISE for draw in range(draws)]
    return [*noises, *(Disturbance(kind) for kind in INTEGERS)]


def names(*, bf16: bool = False) -> list[str]:
    """What `disturbances` and the precisions are called among a run's figures (`noise_0.05`); bf16 where the run has it."""
    precisions = [Disturbance("bf16")] if bf16 else []
    return [named(one.kind, one.level) for one in [*disturbances(1), *precisions, Disturbance("fp32")]]


def named(kind: str, level: float | None) -> str:
    """A disturbance's name among a run's figures."""
    return kind if level is None else f"{kind}_{level:g}"


def disturbed(vectors: Float[Tensor, "k d"], disturbance: Disturbance, seed: int, pair: str) -> Float[Tensor, "k d"]:
    """The vectors under a disturbance.

    The noise of a draw is a function of seed, pair and draw alone: levels scale one direction, and two memories of one pair
    meet the same noise.
    """
    if disturbance.kind in INTEGERS:
        return rounded(vectors, INTEGERS[disturbance.kind])
    if disturbance.level is None:
        return vectors
    return vectors + directions(vectors, derive_seed(seed, "noise", pair, disturbance.draw)) * disturbance.level


def directions(vectors: Float[Tensor, "k d"], seed: int) -> Float[Tensor, "k d"]:
    """Gaussian directions, each scaled to the norm of its vector exactly."""
    drawn = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = drawn.to(vectors.device)
    scale: Tensor = vectors.double().norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True)
    return (drawn * scale).to(vectors.dtype)


def rounded(vectors: Float[Tensor, "k d"], largest: int) -> Float[Tensor, "k d"]:
    """Each vector in integers from −largest to largest times one scale of its own, its largest absolute entry / largest
    (symmetric rounding to the nearest, no zero point), as numbers again."""
    scale: Tensor = vectors.abs().amax(1, keepdim=True) / largest
    unit = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (vectors / unit).round().clamp(-largest, largest) * unit
