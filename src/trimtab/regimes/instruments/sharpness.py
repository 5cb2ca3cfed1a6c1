"""Sharpness: the extreme eigenvalues of a loss's Hessian, by power iteration."""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from trimtab.regimes.instruments.hessian import Loss, Method, Product, gradient_of, hessian_vector_product
from trimtab.regimes.instruments.vectors import Tensors, inner, norm, random_vector


@dataclass(frozen=True)
class Eigenvalue:
    """An eigenvalue of a Hessian, and how exact it is.

    `value` is the Rayleigh quotient λ = vᵀHv of the last vector v of length 1, in units of the loss over squared
    parameters. `residual` is |Hv - λv| over |λ|, or over the largest |Hv| met where the largest algebraic eigenvalue is
    computed: an exact eigenvalue lies within that relative distance, and where no other is near, the error is of
    the order of its square. `iterations` counts Hessian-vector products; `converged` says whether `residual` fell to
    the tolerance. `vector` is v.
    """

    value: float
    iterations: int
    converged: bool
    residual: float
    vector: tuple[Tensor, ...] = field(compare=False, repr=False)


def sharpness(
    loss: Loss,
    parameters: Tensors,
    generator: torch.Generator,
    *,
    hvp: Method = "exact",
    which: Literal["absolute", "algebraic"] = "absolute",
    iterations: int = 100,
    tolerance: float = 1e-2,
) -> Eigenvalue:
    """The Hessian eigenvalue of `loss` in `parameters` that is largest by absolute value, or the largest algebraic one.

    The two may differ early in training, when the strongest curvature can be negative. The sharpness that gradient descent
    keeps near 2 / learning rate (Cohen et al. 2021, Gradient Descent on Neural Networks Typically Occurs at the Edge of
    Stability) is the algebraic one.

    `hvp` is the method of products (see `hessian_vector_product`); the first vector is drawn from `generator`. The parameters
    and their `.grad` do not change. For a gradient over several calls, such as one accumulated over micro-batches, use
    `extreme_eigenvalue` with a product of its own.

    Raises what `hessian_vector_product` and `extreme_eigenvalue` raise.
    """
    gradient = gradient_of(loss, parameters, differentiable=hvp == "exact")
    product = hessian_vector_product(gradient, parameters, hvp)
    start = random_vector(parameters, generator)
    return extreme_eigenvalue(product, start, which=which, iterations=iterations, tolerance=tolerance)


def extreme_eigenvalue(
    product: Product,
    start: Tensors,
    *,
    which: Literal["absolute", "algebraic"] = "absolute",
    iterations: int = 100,
    tolerance: float = 1e-2,
) -> Eigenvalue:
    """An extreme eigenvalue of the symmetric operator `product` by power iteration (von Mises & Pollaczek-Geiringer 1929).

    `absolute`: the eigenvalue of largest absolute value, with its sign. If two of opposite sign have the same absolute value, the
    vector does not converge, and neither does the result. `algebraic`: the largest eigenvalue. If the one of largest absolute
    value is negative, or does not converge, a second iteration runs on H + s, where s is the largest |Hv| met; its dominant
    eigenvalue is the wanted one plus s. Each iteration takes at most `iterations` products, and each product reduces the error by
    the ratio of the second to the first absolute eigenvalue. An iteration ends when the residual is within `tolerance` and does
    not grow; it grows while the vector moves away from another eigenvector. `start` should be random, because it needs a part
    along the wanted eigenvector. A zero Hessian has the value 0. A value that is not finite ends the iteration with NaN, not
    converged.

    Raises:
        ValueError: `start` is zero or not finite, or `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"power iteration takes at least one iteration, found {iterations}")
    length = norm(start)
    if not (math.isfinite(length) and length > 0):
        raise ValueError(f"power iteration needs a non-zero, finite start vector, found one of length {length}")
    first, scale = _iterate(product, start, 0.0, 0.0, iterations, tolerance)
    settled = first.converged and first.value >= 0
    if which == "absolute" or settled or not math.isfinite(first.value):
        return first
    shifted, _ = _iterate(product, start, scale, scale, iterations, tolerance)
    return Eigenvalue(
        shifted.value, first.iterations + shifted.iterations, shifted.converged, shifted.residual, shifted.vector
    )


def _iterate(
    product: Product, start: Tensors, shift: float, scale: float, iterations: int, tolerance: float
) -> tuple[Eigenvalue, float]:
    """Power iteration on H + shift; residuals are relative to max(scale, |λ|). Returns also the largest |Hv| met."""
    vector, largest, previous = _unit(start), scale, 0.0
    for count in range(1, iterations + 1):
        image = product(vector)
        value, reach = inner(vector, image), norm(image)
        if not (math.isfinite(value) and math.isfinite(reach)):
            return Eigenvalue(math.nan, count, False, math.nan, tuple(vector)), math.nan
        largest = max(largest, reach)
        error = norm([h - value * v for h, v in zip(image, vector, strict=True)])
        against = max(scale, abs(value))
        residual = error / against if against > 0 else (math.inf if error > 0 else 0.0)
        converged = residual == 0 or residual <= min(tolerance, previous)
        if converged or count == iterations:
            break
        previous = residual
        vector = _unit([h + shift * v for h, v in zip(image, vector, strict=True)])
    return Eigenvalue(value, count, converged, residual, tuple(vector)), largest


def _unit(vector: Tensors) -> list[Tensor]:
    length = norm(vector)
    return [(piece / length).detach() for piece in vector]
