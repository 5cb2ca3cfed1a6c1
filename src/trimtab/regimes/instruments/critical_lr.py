"""The critical learning rate: the factor by which an update can be multiplied before the loss rises."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from trimtab.regimes.instruments.hessian import Loss
from trimtab.regimes.instruments.vectors import Tensors, kept, place


@dataclass(frozen=True)
class CriticalRate:
    """A critical learning rate, as the interval between two steps that were tried.

    `value` is the largest step known not to raise the loss (0 if there is none, as along a direction of ascent), `upper` the
    smallest above it that does (infinity if there is none), both as multiples of the update. `loss` is the loss before any step,
    `evaluations` the number of forward passes. `converged` says whether the two are within the tolerance of each other.
    """

    value: float
    upper: float
    loss: float
    evaluations: int
    converged: bool


def critical_learning_rate(
    loss: Loss,
    parameters: Tensors,
    update: Tensors,
    *,
    start: float = 1.0,
    tolerance: float = 0.01,
    evaluations: int = 40,
) -> CriticalRate:
    """The largest η for which loss(θ + η·update) ≤ loss(θ), by forward passes alone.

    From `start` (best: the current learning rate, or that of the last measurement) η is doubled while the loss does not rise, or
    halved until it falls. Then the interval is bisected until it is narrower than `tolerance` times its lower end. This is the
    exponential and binary search of Kalra & Barkeshli 2024 (Why Warmup the Learning Rate?, arXiv 2406.09405,
    Algorithms 1 and 2), here along any update. On a quadratic η = -2 gᵀu / uᵀHu, for gradient descent 2/λ if g is the
    eigenvector of λ. A loss that rises and falls again between two tried steps is missed; one that is not finite counts
    as a rise. While halving, only a fall by more than the loss's rounding (four spacings of its type) counts, because smaller
    changes are noise; for a loss computed less exactly than its type, give a larger `start`.

    `loss` must use the same batch and dropout at every call; it runs without gradients. The parameters are restored bit for bit.

    Raises:
        ValueError: `start` or `tolerance` is not positive, or `evaluations` is below 2.
    """
    if not (0 < start < math.inf and tolerance > 0):
        raise ValueError(f"start and tolerance are positive and finite, found {start} and {tolerance}")
    if evaluations < 2:
        raise ValueError(f"a critical learning rate takes at least two evaluations, found {evaluations}")
    with torch.no_grad(), kept(parameters) as base:
        output = loss()
        before = output.item()
        if not math.isfinite(before):
            return CriticalRate(math.nan, math.nan, before, 1, converged=False)
        rounding = 4 * torch.finfo(output.dtype).eps * abs(before)

        def rise(step: float) -> float:
            place(parameters, base, update, step)
            after = loss().item()
            return after - before if math.isfinite(after) else math.inf

        low, high, used = _bracket(rise, start, rounding, evaluations - 1)
        while used < evaluations - 1 and low > 0 and high < math.inf and high - low > tolerance * low:
            middle = (low + high) / 2
            if rise(middle) <= 0:
                low = middle
            else:
                high = middle
            used += 1
    return CriticalRate(low, high, before, used + 1, converged=low > 0 and high - low <= tolerance * low)


def _bracket(rise: Callable[[float], float], start: float, rounding: float, budget: int) -> tuple[float, float, int]:
    """The largest step that does not raise the loss, the smallest that does, and the number of steps tried, at most `budget`."""
    step, change = start, rise(start)
    used = 1
    if change <= 0:
        while used < budget and math.isfinite(step * 2):
            step *= 2
            used += 1
            if rise(step) > 0:
                return step / 2, step, used
        return step, math.inf, used
    high, harmless = start, 0.0
    while used < budget:
        step /= 2
        change = rise(step)
        used += 1
        if change > 0:
            high, harmless = step, 0.0
            continue
        harmless = max(harmless, step)
        if change < -rounding:
            return harmless, high, used
    return 0.0, high, used
