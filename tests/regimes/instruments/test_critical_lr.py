import math

import pytest
import torch
from torch import Tensor

from tests.regimes.instruments.problems import generator, network, quadratic, symmetric
from trimtab.regimes.instruments import critical_learning_rate, sharpness

SPECTRUM = [5.0, 2.0, 1.0, 0.5, 0.1]


@pytest.mark.parametrize("start", [1e-4, 0.1, 0.37, 3.0, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_gradient_descent_on_a_quadratic(start: float, seed: int) -> None:
    matrix = symmetric(SPECTRUM, seed)
    loss, parameters = quadratic(matrix, seed)
    slopes = torch.autograd.grad(loss(), parameters)
    flat = torch.cat([slope.flatten() for slope in slopes])
    right = (2 * flat @ flat / (flat @ matrix @ flat)).item()
    before = [parameter.detach().clone() for parameter in parameters]
    result = critical_learning_rate(
        loss, parameters, [-slope for slope in slopes], start=start, tolerance=1e-6, evaluations=100
    )
    assert result.converged and result.value <= right * (1 + 1e-12) and result.upper >= right * (1 - 1e-12)
    assert result.value == pytest.approx(right, rel=1e-6)
    assert result.loss == loss().item()
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_along_the_sharpest_direction_it_is_two_over_the_sharpness() -> None:
    loss, parameters = quadratic(symmetric(SPECTRUM))
    top = sharpness(loss, parameters, generator(), tolerance=1e-9)
    slopes = torch.autograd.grad(loss(), parameters)
    with torch.no_grad():  # to a point from which the gradient is along the eigenvector
        hessian = symmetric(SPECTRUM)
        flat = torch.cat([slope.flatten() for slope in slopes])
        shift = torch.linalg.solve(hessian, flat - torch.cat([piece.flatten() for piece in top.vector]))
        parameters[0].sub_(shift[:2].view(2, 1))
        parameters[1].sub_(shift[2:])
    update = [-slope for slope in torch.autograd.grad(loss(), parameters)]
    result = critical_learning_rate(loss, parameters, update, start=0.1, tolerance=1e-4)
    assert result.value == pytest.approx(2 / top.value, rel=1e-4)


def test_a_coarse_answer_takes_few_evaluations() -> None:
    loss, parameters = network(torch.float32)
    calls = 0

    def counted() -> Tensor:
        nonlocal calls
        calls += 1
        assert not torch.is_grad_enabled()
        return loss()

    update = [-slope for slope in torch.autograd.grad(loss(), parameters)]
    result = critical_learning_rate(counted, parameters, update, tolerance=0.1)
    assert result.converged and result.evaluations == calls <= 12
    assert 0 < result.value < result.upper <= result.value * 1.1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_update_that_raises_the_loss_has_the_critical_factor_0(dtype: torch.dtype) -> None:
    loss, parameters = network(dtype)
    result = critical_learning_rate(loss, parameters, torch.autograd.grad(loss(), parameters), start=0.1)
    assert result.value == 0.0 and not result.converged and result.evaluations == 40
    assert result.upper < 1e-5


def test_a_loss_that_falls_without_end_has_no_upper_bound() -> None:
    theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    result = critical_learning_rate(lambda: theta.sum(), [theta], [-torch.ones(2, dtype=torch.float64)])
    assert result.upper == math.inf and result.value == 2.0**38 and not result.converged
    still = critical_learning_rate(lambda: theta.sum(), [theta], [torch.zeros(2, dtype=torch.float64)], evaluations=5)
    assert (still.value, still.upper, still.evaluations) == (8.0, math.inf, 5)


def test_a_step_that_lands_on_the_same_loss_is_no_rise() -> None:
    theta = torch.tensor([1.0], requires_grad=True)  # θ² from 1 along -1: exactly 2
    result = critical_learning_rate(lambda: (theta**2).sum(), [theta], [-torch.ones(1)], start=4.0)
    assert result.value == pytest.approx(2.0, rel=0.01) and result.value >= 2.0 and result.converged


def test_not_finite() -> None:
    theta = torch.tensor([1.0], requires_grad=True)
    # Falls until θ = 0, where it is not a number any more: a rise.
    result = critical_learning_rate(lambda: torch.sqrt(theta).sum(), [theta], [-torch.ones(1)], tolerance=1e-3)
    assert result.value == pytest.approx(1.0, rel=1e-3)
    nothing = critical_learning_rate(lambda: theta.sum() * math.nan, [theta], [-torch.ones(1)])
    assert math.isnan(nothing.value) and nothing.evaluations == 1 and not nothing.converged


def test_parameters_are_restored_after_an_error() -> None:
    theta = torch.tensor([0.1], requires_grad=True)
    calls = iter([1.0, None])

    def loss() -> Tensor:
        value = next(calls)
        if value is None:
            raise RuntimeError("no second pass")
        return torch.tensor(value)

    with pytest.raises(RuntimeError, match="no second pass"):
        critical_learning_rate(loss, [theta], [torch.ones(1)])
    assert theta.item() == torch.tensor(0.1).item()


def test_wrong_input() -> None:
    theta = torch.ones(1)
    for wrong in ({"start": 0.0}, {"tolerance": 0.0}, {"start": math.inf}, {"evaluations": 1}):
        with pytest.raises(ValueError, match="found"):
            critical_learning_rate(lambda: theta.sum(), [theta], [theta], **wrong)
