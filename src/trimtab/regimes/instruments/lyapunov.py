"""The largest Lyapunov exponent over a finite time: how fast two almost equal trajectories diverge."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trimtab.regimes.instruments.intervals import batch_means_interval
from trimtab.regimes.instruments.vectors import Tensors, norm, random_vector

Step = Callable[[list[Tensor], int], Tensors]
"""From a state and the number of the step (from 0) to the next state.

It must be a function of both: its batch and its dropout depend on the number alone, so that both copies get the same. It may
change the tensors that it receives, and may return the same buffers at every call.
"""
Norm = Callable[[Tensors], float]
"""The length of a difference of two states; n(c·x) = |c|·n(x)."""


@dataclass(frozen=True)
class LyapunovExponent:
    """A finite-time estimate of the largest Lyapunov exponent, in nats per step.

    `exponent` is the mean growth of the log distance per step, over `steps` steps; above 0, nearby trajectories diverge.
    `interval` is a 95% interval for it from batch means (None below 50 measurements), which covers the fluctuations of this
    trajectory, not other starts. A measurement is over `every` steps, and each has an entry in `distances` (before the copy is
    scaled back), `rates` (nats per step) and `running` (the estimate up to it). The measurement ends early with -inf when both
    states become equal, and with NaN when a distance is not finite or is lost in the rounding of a state that has grown;
    `running` keeps the earlier estimates.
    """

    exponent: float
    interval: tuple[float, float] | None
    steps: int
    running: tuple[float, ...]
    rates: tuple[float, ...]
    distances: tuple[float, ...]


def largest_exponent(
    step: Step,
    state: Tensors,
    generator: torch.Generator,
    *,
    steps: int,
    epsilon: float,
    every: int = 1,
    discard: int = 0,
    norm: Norm = norm,
    direction: Tensors | None = None,
) -> LyapunovExponent:
    """Step `state` and a copy at the distance `epsilon`, and measure how fast the distance grows.

    After every `every` steps, log(distance / distance before) is recorded, and the copy is moved along the current difference to
    the distance `epsilon` (Benettin, Galgani, Giorgilli & Strelcyn 1980, Meccanica 15). The first direction is `direction`, or
    random, from `generator`. It turns towards the fastest growing direction during the first `discard` steps, a whole number of
    measurements, which are not counted. The distance before is measured, not taken to be `epsilon`, so the rounding of the
    copy's coordinates does not count as growth.

    `state` must be everything that the next step depends on, such as parameters and optimiser moments, on scales that suit one
    `norm` (by default Euclidean); without a part of it the result is not the system's exponent. It is not changed. `epsilon`
    must be small enough for linear growth during `every` steps, and large compared with the spacing of the state's numbers: of
    the order √spacing · |state|. In exact arithmetic the result does not depend on it, so compare two values.

    Raises:
        ValueError: `steps`, `every` or `epsilon` is not positive, `discard` is negative or not a multiple of `every`,
            `steps` is not a multiple of `every`, or `epsilon` is lost in the rounding of the first state.
    """
    _check(steps, every, discard, epsilon)
    base = _copied(state)
    first = random_vector(base, generator) if direction is None else direction
    copy, distance = _perturbed(base, first, epsilon, norm)
    if math.isnan(distance):
        raise ValueError(f"the distance {epsilon} is lost in the state's rounding; take a larger epsilon")
    rates: list[float] = []
    distances: list[float] = []
    for number in range(discard + steps):
        base, copy = _copied(step(base, number)), _copied(step(copy, number))
        if (number + 1) % every:
            continue
        difference = [b - a for a, b in zip(base, copy, strict=True)]
        now = norm(difference)
        rate = _log_ratio(now, distance) / every
        if number >= discard or not math.isfinite(rate):
            rates.append(rate)
            distances.append(now)
        if not math.isfinite(rate):
            break
        if number + 1 < discard + steps:
            copy, distance = _perturbed(base, difference, epsilon, norm)
    running = _running_means(rates)
    return LyapunovExponent(
        exponent=running[-1],
        interval=batch_means_interval(rates),
        steps=len(rates) * every,
        running=tuple(running),
        rates=tuple(rates),
        distances=tuple(distances),
    )


def _check(steps: int, every: int, discard: int, epsilon: float) -> None:
    if every < 1 or steps < 1 or steps % every or discard < 0 or discard % every:
        raise ValueError(
            f"steps and discard are counted in whole measurements of `every` steps, found steps={steps}, "
            f"discard={discard} and every={every}"
        )
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon is a positive distance, found {epsilon}")


@torch.no_grad()
def _copied(state: Tensors) -> list[Tensor]:
    # Copies, because a step may work in place or return the same buffers for both states.
    return [piece.detach().clone() for piece in state]


@torch.no_grad()
def _perturbed(base: Tensors, direction: Tensors, epsilon: float, norm: Norm) -> tuple[list[Tensor], float]:
    """A state at the distance `epsilon` from `base`, and its distance after rounding; NaN if that is off by over a quarter."""
    factor = epsilon / norm(direction)
    copy = [a + piece * factor for a, piece in zip(base, direction, strict=True)]
    distance = norm([b - a for a, b in zip(base, copy, strict=True)])
    return copy, distance if abs(distance - epsilon) <= epsilon / 4 else math.nan


def _log_ratio(now: float, before: float) -> float:
    if not (math.isfinite(now) and math.isfinite(before)):
        return math.nan
    return math.log(now / before) if now > 0 else -math.inf


def _running_means(values: list[float]) -> list[float]:
    total, means = 0.0, []
    for count, value in enumerate(values, 1):
        total += value
        means.append(total / count)
    return means
