"""Products of a loss's Hessian with a vector, without forming the Hessian."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.regimes.instruments.vectors import Tensors, kept, norm, place

Loss = Callable[[], Float[Tensor, ""]]
"""Computes the loss at the current parameters, with the same batch and dropout at every call."""
Gradient = Callable[[], Tensors]
"""Computes the gradient at the current parameters, one tensor per parameter, with the same batch and dropout at every call."""
Product = Callable[[Tensors], list[Tensor]]
"""From a vector v to H·v."""
Method = Literal["exact", "finite_difference"]


def gradient_of(loss: Loss, parameters: Tensors, *, differentiable: bool = False) -> Gradient:
    """A function that returns the gradient of `loss` in `parameters`; zero for a parameter that the loss does not use.

    It does not touch the parameters' `.grad`. With `differentiable` its results have the graph that an exact product needs.
    """
    leaves = list(parameters)

    def gradient() -> Tensors:
        value = loss()
        # A factor 1 that requires grad makes every incoming gradient require it. Without that, torch's once_differentiable
        # takes a constant one as a sign that there is no second derivative, and a part of that would be missing without an error.
        one = torch.ones_like(value, requires_grad=differentiable)
        return torch.autograd.grad(
            value, leaves, one, create_graph=differentiable, allow_unused=True, materialize_grads=True
        )

    return gradient


def hessian_vector_product(
    gradient: Gradient, parameters: Tensors, method: Method = "exact", step: float | None = None
) -> Product:
    """v -> H·v, where H is the derivative of `gradient` in `parameters` (all of which require grad).

    `exact` differentiates the gradient once more (Pearlmutter 1994, Fast Exact Multiplication by the Hessian): it needs a
    gradient with its graph (`gradient_of(..., differentiable=True)`), which is computed once, here, and kept for all
    products, so the parameters must not change in between. A product costs about one backward pass. An operation that
    can be differentiated only once raises an error here; torch itself would omit its part without an error.

    `finite_difference` is (g(θ + hv) - g(θ - hv)) / 2h with |v| scaled to 1: two gradients per product, no second derivative,
    and nothing kept. It is for models with operations that can be differentiated only once, such as this project's own
    attention and dropout. The error is h²/6 of the gradient's third derivative along v, plus the gradient's own rounding
    error over h. The default h is `default_step(parameters)`; a quadratic has the rounding part alone. The gradient must be
    computed in the parameters' precision: under bf16 autocast its rounding error exceeds the difference. The parameters are
    restored bit for bit.

    Raises:
        ValueError: there are no parameters, or `step` is not positive.
        RuntimeError: for `exact`, the loss goes through an operation that cannot be differentiated twice (some of torch's
            own raise only at the first product).
    """
    if not parameters:
        raise ValueError("a Hessian needs at least one parameter")
    if step is not None and not step > 0:
        raise ValueError(f"the step of a finite difference is positive, found {step}")
    if method == "exact":
        return _exact(gradient, parameters)
    return _finite_difference(gradient, parameters, step)


def default_step(parameters: Tensors) -> float:
    """The displacement h of a finite difference: √ε/4 · |θ|, with ε the spacing of the coarsest type at 1 (√ε/4 if θ = 0).

    It is smaller than the textbook ε^⅓ |θ|, because along a network's sharpest directions the gradient changes nonlinearly
    within a small fraction of |θ|, so the error there is of truncation, not of rounding. On a decoder of 0.1M parameters in
    fp32, untrained and trained, this step's products were wrong by about 1e-4 of their length along the sharpest direction and
    by up to 1e-3 along a random one; the textbook step missed a quarter along the sharpest.
    """
    spacing = max(torch.finfo(parameter.dtype).eps for parameter in parameters)
    return float(spacing**0.5) / 4 * (norm(parameters) or 1.0)


def _exact(gradient: Gradient, parameters: Tensors) -> Product:
    leaves = list(parameters)
    slopes = gradient()
    _refuse_once_differentiable(slopes)

    def product(vector: Tensors) -> list[Tensor]:
        # Where a loss is linear, its slope may be a constant without a graph.
        curved = [(slope, piece) for slope, piece in zip(slopes, vector, strict=True) if slope.requires_grad]
        if not curved:
            return [torch.zeros_like(leaf) for leaf in leaves]
        outputs, weights = zip(*curved, strict=True)
        return list(
            torch.autograd.grad(outputs, leaves, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        )

    return product


def _refuse_once_differentiable(slopes: Tensors) -> None:
    """Raise RuntimeError if the graph of a gradient has a node by which torch forbids a second derivative.

    Such a node raises by itself only if the engine reaches it, and with the parameters as inputs it does not.
    """
    waiting = [slope.grad_fn for slope in slopes if slope.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node.name() == "torch::autograd::Error":
            raise RuntimeError(
                "the loss uses an operation that can be differentiated only once (once_differentiable), so there is no exact "
                'Hessian-vector product; use the method "finite_difference"'
            )
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


def _finite_difference(gradient: Gradient, parameters: Tensors, step: float | None) -> Product:
    def product(vector: Tensors) -> list[Tensor]:
        length = norm(vector)
        if length == 0.0:
            return [torch.zeros_like(parameter) for parameter in parameters]
        size = default_step(parameters) if step is None else step
        with kept(parameters) as base:
            place(parameters, base, vector, size / length)
            # Copies, because a closure may hand out the same buffers at every call.
            ahead = [slope.detach().clone() for slope in gradient()]
            place(parameters, base, vector, -size / length)
            behind = [slope.detach() for slope in gradient()]
            return [(a - b) * (length / (2 * size)) for a, b in zip(ahead, behind, strict=True)]

    return product
