from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tests.regimes.instruments.problems import dense_hessian, generator, network, quadratic, symmetric
from trimtab.models import Decoder
from trimtab.regimes.instruments import gradient_of, hessian_vector_product, sharpness
from trimtab.regimes.instruments.vectors import inner, kept, norm, random_vector


def relative(result: list[Tensor], right: Tensor) -> float:
    return norm([torch.cat([piece.flatten() for piece in result]).double() - right.double()]) / norm([right])


def flat(pieces: list[Tensor]) -> Tensor:
    return torch.cat([piece.detach().flatten() for piece in pieces])


@pytest.mark.parametrize("seed", range(3))
def test_exact_product_is_the_dense_one(seed: int) -> None:
    loss, parameters = network(torch.float64, seed)
    vector = random_vector(parameters, generator(seed))
    result = hessian_vector_product(gradient_of(loss, parameters, differentiable=True), parameters)(vector)
    assert relative(result, dense_hessian(loss, parameters) @ flat(vector)) < 1e-13


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-6), (torch.float32, 3e-3)])
@pytest.mark.parametrize("seed", range(3))
def test_finite_differences_agree_with_the_exact_product(dtype: torch.dtype, error: float, seed: int) -> None:
    reference, leaves = network(torch.float64, seed)
    loss, parameters = network(dtype, seed)
    vector = random_vector(leaves, generator(seed))
    right = dense_hessian(reference, leaves) @ flat(vector)
    before = [parameter.detach().clone() for parameter in parameters]
    product = hessian_vector_product(gradient_of(loss, parameters), parameters, "finite_difference")
    assert relative(product([piece.to(dtype) for piece in vector]), right) < error
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    assert all(parameter.grad is None for parameter in parameters)


def test_the_error_is_of_second_order_in_the_step() -> None:
    loss, parameters = network(torch.float64)
    vector = random_vector(parameters, generator())
    right = dense_hessian(loss, parameters) @ flat(vector)
    gradient = gradient_of(loss, parameters)
    large, small = (
        relative(hessian_vector_product(gradient, parameters, "finite_difference", step)(vector), right)
        for step in (2e-2, 1e-2)
    )
    assert large / small == pytest.approx(4, rel=0.02)


def test_a_gradient_in_reused_buffers() -> None:
    loss, parameters = quadratic(symmetric([3.0, 2.0, 1.0, -1.0]))
    buffers = [torch.empty_like(parameter) for parameter in parameters]

    def gradient() -> list[Tensor]:
        for buffer, slope in zip(buffers, torch.autograd.grad(loss(), parameters), strict=True):
            buffer.copy_(slope)
        return buffers

    vector = random_vector(parameters, generator())
    result = hessian_vector_product(gradient, parameters, "finite_difference")(vector)
    assert relative(result, dense_hessian(loss, parameters) @ flat(vector)) < 1e-6


@pytest.mark.parametrize("method", ["exact", "finite_difference"])
def test_a_linear_loss_and_an_unused_parameter(method: Any) -> None:
    used, unused = torch.randn(3, generator=generator()).requires_grad_(), torch.zeros(2, requires_grad=True)
    for loss, right in ((lambda: used.sum() * 0.5, 0.0), (lambda: (used**2).sum(), 2.0)):
        gradient = gradient_of(loss, [used, unused], differentiable=method == "exact")
        product = hessian_vector_product(gradient, [used, unused], method)
        result = product([torch.ones(3), torch.ones(2)])
        torch.testing.assert_close(result[0], torch.full((3,), right), atol=1e-3, rtol=1e-3)
        assert torch.equal(result[1], torch.zeros(2))
    assert norm(product([torch.zeros(3), torch.zeros(2)])) == 0


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values**2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


def test_an_operation_that_can_be_differentiated_once() -> None:
    theta = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        return Once.apply(theta) @ torch.tensor([1.0, 3.0], dtype=torch.float64)

    # The gradient that reaches it is a constant, and torch's own double backward gives zeros.
    (slope,) = torch.autograd.grad(loss(), [theta], create_graph=True)
    assert not slope.requires_grad
    with pytest.raises(RuntimeError, match="once_differentiable"):
        sharpness(loss, [theta], generator())
    assert sharpness(loss, [theta], generator(), hvp="finite_difference").value == pytest.approx(6, rel=1e-3)


def test_the_shipped_decoder_by_finite_differences() -> None:
    made = generator()
    model = Decoder(vocabulary=11, context=8, layers=1, width=8, heads=2, ff=16, dropout=0.0)
    model.initialise(made)
    tokens = torch.randint(11, (4, 9), generator=made)
    parameters = list(model.parameters())

    def loss() -> Tensor:
        return torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    with pytest.raises(RuntimeError, match="once_differentiable"):
        sharpness(loss, parameters, generator())
    single = sharpness(loss, parameters, generator(), hvp="finite_difference", iterations=300)
    model.double()
    double = sharpness(loss, list(model.parameters()), generator(), hvp="finite_difference", iterations=300)
    assert single.converged and double.converged
    assert single.value == pytest.approx(double.value, rel=1e-3)


def test_kept_parameters_are_restored_bit_for_bit_after_an_error() -> None:
    values = torch.tensor([0.1, -0.0, float("nan")])
    before = values.view(torch.int32).clone()
    with pytest.raises(ZeroDivisionError), kept([values]):
        values.add_(1.0)
        _ = 1 / 0
    assert torch.equal(values.view(torch.int32), before)


def test_vectors() -> None:
    pieces = [torch.full((2, 2), 1e30), torch.tensor(3e30)]
    assert norm(pieces) == pytest.approx(13**0.5 * 1e30)  # squares of these overflow in fp32
    assert inner(pieces, pieces) == pytest.approx(13e60)
    with pytest.raises(ValueError, match="shorter"):
        inner(pieces, pieces[:1])


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="at least one parameter"):
        hessian_vector_product(lambda: [], [])
    with pytest.raises(ValueError, match="positive, found 0"):
        hessian_vector_product(lambda: [torch.ones(1)], [torch.ones(1)], "finite_difference", 0.0)
