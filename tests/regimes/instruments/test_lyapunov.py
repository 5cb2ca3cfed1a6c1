import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.regimes.instruments.problems import generator, symmetric
from trimtab.regimes.instruments import LyapunovExponent, batch_means_interval, largest_exponent

State = list[Tensor]


def logistic(rate: float) -> Callable[[State, int], State]:
    return lambda state, _: [rate * state[0] * (1 - state[0])]


def from_point(step: Any, point: list[float], seed: int = 0, **further: Any) -> LyapunovExponent:
    state = [torch.tensor(point, dtype=further.pop("dtype", torch.float64))]
    return largest_exponent(step, state, generator(seed), **{"epsilon": 1e-8, **further})


@pytest.mark.parametrize("seed", range(4))
def test_the_logistic_map_in_chaos_has_ln_2(seed: int) -> None:
    start = 0.1 + 0.8 * torch.rand((), generator=generator(seed)).item()
    estimate = from_point(logistic(4.0), [start], seed, steps=3000, discard=100)
    assert estimate.exponent == pytest.approx(math.log(2), abs=0.005)
    assert estimate.steps == len(estimate.rates) == len(estimate.running) == len(estimate.distances) == 3000
    assert estimate.interval is not None and estimate.interval[0] < math.log(2) < estimate.interval[1]


@pytest.mark.parametrize("rate", [3.2, 2.5])
def test_the_logistic_map_on_a_cycle(rate: float) -> None:
    # The multiplier of the cycle: f'(x*) = 2 - r; of the two-cycle: 4 + 2r - r².
    right = math.log(abs(4 + 2 * rate - rate**2)) / 2 if rate > 3 else math.log(abs(2 - rate))
    estimate = from_point(logistic(rate), [0.3], steps=400, discard=200)
    assert right < 0 and estimate.exponent == pytest.approx(right, abs=1e-5)


def henon(state: State, _: int) -> State:
    x, y = state[0]
    return [torch.stack([1 - 1.4 * x * x + y, 0.3 * x])]


def test_the_henon_map() -> None:
    estimate = from_point(henon, [0.1, 0.1], steps=4000, discard=100)
    assert estimate.exponent == pytest.approx(0.4192, abs=0.015)  # 0.4192: long runs in the literature
    assert estimate.interval is not None and estimate.interval[0] < 0.4192 < estimate.interval[1]


def test_the_result_does_not_depend_on_epsilon() -> None:
    estimate = [from_point(henon, [0.1, 0.1], steps=1000, discard=100, epsilon=e).exponent for e in (1e-9, 3e-9, 1e-8)]
    assert max(estimate) - min(estimate) < 1e-4
    rare = from_point(henon, [0.1, 0.1], steps=1000, discard=100, every=5)
    assert rare.exponent == pytest.approx(estimate[2], abs=1e-4) and len(rare.rates) == 200 and rare.steps == 1000


def test_single_precision() -> None:
    estimate = from_point(logistic(4.0), [0.3], steps=2000, discard=100, epsilon=1e-4, dtype=torch.float32)
    assert estimate.exponent == pytest.approx(math.log(2), abs=0.01)


@pytest.mark.parametrize("factors", [[0.9, 0.5, 0.1], [1.5, -2.0, 0.3], [0.25, -0.75, 0.0]])
def test_a_linear_map_has_the_log_of_its_largest_factor(factors: list[float]) -> None:
    diagonal = torch.tensor(factors, dtype=torch.float64)
    estimate = from_point(lambda s, _: [s[0] * diagonal], [0.0, 0.0, 0.0], steps=20, discard=100)
    assert estimate.exponent == pytest.approx(math.log(max(map(abs, factors))), rel=1e-12)


def descent(hessian: Tensor, rate: float, momentum: float) -> Callable[[State, int], State]:
    """Gradient descent on ½ θᵀHθ with heavy-ball momentum; θ and the velocity are the state."""

    def step(state: State, _: int) -> State:
        theta, velocity = state
        velocity = momentum * velocity + hessian @ theta
        return [theta - rate * velocity, velocity]

    return step


@pytest.mark.parametrize("rate", [0.1, 0.41, 0.6])  # 2 / 5 is the edge of stability
def test_gradient_descent_on_a_quadratic(rate: float) -> None:
    spectrum = [5.0, 2.0, 1.0, 0.5]
    hessian = symmetric(spectrum)
    theta = torch.randn(4, dtype=torch.float64, generator=generator())

    def step(state: State, _: int) -> State:
        return [state[0] - rate * hessian @ state[0]]

    at_rest = largest_exponent(step, [torch.zeros_like(theta)], generator(), steps=50, discard=400, epsilon=1e-8)
    right = max(abs(1 - rate * value) for value in spectrum)
    assert at_rest.exponent == pytest.approx(math.log(right), rel=1e-8)
    assert (at_rest.exponent > 0) == (rate > 2 / 5)
    turned = 10 if rate == 0.6 else 300  # by then the difference lies along the fastest direction
    moving = largest_exponent(step, [theta], generator(), steps=20, discard=turned, epsilon=1e-4)
    assert moving.exponent == pytest.approx(math.log(right), abs=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.79, 0.85])  # 2 (1 + 0.9) / 5 = 0.76 is the edge
def test_momentum_has_the_spectral_radius_of_its_companion_matrix(rate: float) -> None:
    spectrum, momentum = [5.0, 2.0, 1.0, 0.5], 0.9
    rows = [[[1 - rate * value, -rate * momentum], [value, momentum]] for value in spectrum]
    eigenvalues = torch.linalg.eigvals(torch.tensor(rows, dtype=torch.float64))
    right = math.log(eigenvalues.abs().max().item())
    state = [torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)]
    estimate = largest_exponent(
        descent(symmetric(spectrum), rate, momentum), state, generator(), steps=1500, discard=300, epsilon=1e-8
    )
    # Complex eigenvalues turn the difference, which makes the growth of its length swing: an error of order 1 / steps.
    assert estimate.exponent == pytest.approx(right, abs=1e-8 if rate > 0.76 else 2e-3)
    assert (estimate.exponent > 0) == (rate > 0.76)


def test_without_the_velocity_the_exponent_is_another() -> None:
    # A state that lacks the velocity: the twins share one, kept outside, and the result is not the system's.
    hessian, rate, momentum = symmetric([5.0, 2.0, 1.0, 0.5]), 0.85, 0.9
    whole = descent(hessian, rate, momentum)
    velocity = torch.zeros(4, dtype=torch.float64)
    partial = largest_exponent(
        lambda s, _: [whole([s[0], velocity], 0)[0]],
        [torch.zeros(4, dtype=torch.float64)],
        generator(),
        steps=100,
        discard=300,
        epsilon=1e-8,
    )
    assert partial.exponent == pytest.approx(math.log(0.85 * 5 - 1), rel=1e-6)


def test_a_step_in_place_that_hands_out_its_own_buffers() -> None:
    buffer = torch.empty(1, dtype=torch.float64)

    def step(state: State, _: int) -> State:
        state[0].mul_(1 - state[0]).mul_(4.0)
        buffer.copy_(state[0])
        return [buffer]

    start = torch.tensor([0.3], dtype=torch.float64)
    estimate = largest_exponent(step, [start], generator(), steps=60, epsilon=1e-8)
    assert estimate == from_point(logistic(4.0), [0.3], steps=60)
    assert start.item() == 0.3


def test_both_copies_receive_the_number_of_the_step() -> None:
    seen: list[int] = []

    def step(state: State, number: int) -> State:
        seen.append(number)
        return [state[0] * (2.0 if number % 2 else 3.0)]

    estimate = from_point(step, [0.0], steps=4, discard=2)
    assert seen == [number for number in range(6) for _ in range(2)]
    assert estimate.exponent == pytest.approx(math.log(6) / 2) and estimate.interval is None
    assert estimate.distances == pytest.approx((3e-8, 2e-8, 3e-8, 2e-8))
    assert estimate.running == pytest.approx((math.log(3), math.log(6) / 2, math.log(18) / 3, math.log(6) / 2))


def test_a_custom_norm_is_used() -> None:
    def second(difference: Any) -> float:
        return abs(difference[0][1].item())

    estimate = from_point(
        lambda s, _: [s[0] * torch.tensor([3.0, 2.0], dtype=torch.float64)], [0.0, 0.0], steps=10, norm=second
    )
    assert estimate.exponent == pytest.approx(math.log(2))


def test_copies_that_meet_or_become_infinite_end_the_measurement() -> None:
    meet = from_point(lambda s, _: [s[0] * 0], [0.5], steps=10, discard=5)
    assert meet.exponent == -math.inf and meet.interval is None and meet.steps == 1
    leave = from_point(lambda s, n: [s[0] * (math.inf if n == 3 else 2.0)], [0.5], steps=10)
    assert math.isnan(leave.exponent) and leave.steps == 4 and leave.running[2] == pytest.approx(math.log(2))


def test_an_epsilon_that_the_growing_state_swallows_ends_the_measurement() -> None:
    estimate = from_point(lambda s, _: [s[0] * 10.0], [1.0], steps=20)
    assert math.isnan(estimate.exponent) and 5 < estimate.steps < 12
    assert estimate.running[-2] == pytest.approx(math.log(10), rel=1e-2)


def test_wrong_input() -> None:
    for wrong in ({"steps": 0}, {"steps": 5, "every": 2}, {"steps": 4, "every": 2, "discard": 1}, {"epsilon": 0.0}):
        with pytest.raises(ValueError, match="found"):
            from_point(logistic(4.0), [0.3], **{"steps": 4, **wrong})
    with pytest.raises(ValueError, match="take a larger epsilon"):
        from_point(logistic(4.0), [0.3], steps=4, epsilon=1e-20)


def test_the_interval_covers_a_correlated_mean() -> None:
    # A first-order autoregression, whose mean's standard error a naive interval gets wrong by √3.
    noise = torch.randn(400, 2000, dtype=torch.float64, generator=generator())
    series = torch.empty_like(noise)
    value = noise[:, 0] / math.sqrt(1 - 0.25)
    for index in range(2000):
        value = 0.5 * value + noise[:, index]
        series[:, index] = value
    intervals = [batch_means_interval(row) for row in series.tolist()]
    covered = sum(low < 0 < high for low, high in intervals) / 400
    assert 0.91 < covered < 0.98
    assert batch_means_interval([1.0] * 49) is None
    assert batch_means_interval([1.0] * 50) == (1.0, 1.0)
    assert batch_means_interval([math.inf] + [1.0] * 59) is None


def test_the_first_direction_may_be_given() -> None:
    # Two modes that never mix: what grows is what was disturbed.
    def step(state: State, _: int) -> State:
        return [state[0] * torch.tensor([2.0, 0.5], dtype=torch.float64)]

    for axis, right in ((0, math.log(2)), (1, -math.log(2))):
        direction = [torch.eye(2, dtype=torch.float64)[axis]]
        estimate = from_point(step, [1.0, 1.0], steps=10, direction=direction)
        assert estimate.exponent == pytest.approx(right, abs=1e-6)
