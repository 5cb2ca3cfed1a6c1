"""Lists of tensors as one long vector: length, inner product, random direction, and a displacement that is undone exactly."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

Tensors = Sequence[Float[Tensor, "..."]]
"""A vector in pieces: its coordinates are those of all the tensors, in order."""


def inner(left: Tensors, right: Tensors) -> float:
    """The inner product of two vectors of the same pieces, summed in fp64."""
    products = [torch.sum(a.double() * b.double()) for a, b in zip(left, right, strict=True)]
    return math.fsum(product.item() for product in products)


def norm(vector: Tensors) -> float:
    """The Euclidean length of a vector, summed in fp64."""
    lengths = [torch.linalg.vector_norm(piece, dtype=torch.float64) for piece in vector]
    return math.hypot(*(length.item() for length in lengths))


def random_vector(like: Tensors, generator: torch.Generator) -> list[Tensor]:
    """Independent standard normal coordinates, in the shapes, types and places of `like`.

    Drawn on the generator's device, so a CPU generator gives the same vector for pieces on any device.
    """
    return [
        torch.randn(piece.shape, generator=generator, dtype=piece.dtype, device=generator.device).to(piece.device)
        for piece in like
    ]


@contextmanager
def kept(parameters: Tensors) -> Iterator[list[Tensor]]:
    """A context that yields copies of the parameters and copies them back at its end, also after an error, bit for bit."""
    saved = [parameter.detach().clone() for parameter in parameters]
    try:
        yield saved
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, saved, strict=True):
                parameter.copy_(value)


@torch.no_grad()
def place(parameters: Tensors, base: Tensors, direction: Tensors, size: float) -> None:
    """Set the parameters to `base + size · direction`, in place."""
    for parameter, origin, piece in zip(parameters, base, direction, strict=True):
        parameter.copy_(origin).add_(piece, alpha=size)
