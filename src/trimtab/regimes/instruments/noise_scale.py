"""The gradient noise scale: the batch size at which a gradient's noise is as large as the gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NoiseEstimate:
    """Unbiased estimates of |G|² (G the true gradient) and of tr Σ (Σ the covariance of one example's gradient).

    Either may be negative when the noise is large. To avoid a bias, average them over steps, and not their ratio.
    """

    squared_gradient: float
    noise: float

    @property
    def scale(self) -> float:
        """B_simple = tr Σ / |G|², in examples; NaN where the estimates do not resolve it (|G|² ≤ 0 or tr Σ < 0)."""
        return self.noise / self.squared_gradient if self.squared_gradient > 0 and self.noise >= 0 else math.nan


def noise_estimate(
    small_batch: float, big_batch: float, small_squared_norm: float, big_squared_norm: float
) -> NoiseEstimate:
    """Estimates from the squared norms of a gradient averaged over a small and over a big batch.

    Since E|G_B|² = |G|² + tr Σ / B, two batch sizes give both unknowns (McCandlish et al. 2018, An Empirical Model of
    Large-Batch Training, arXiv 1812.06162, appendix A.1). Batch sizes are in examples, which must be independent draws: in
    sequences rather than tokens, unless the tokens of a sequence are to count as independent. `small_squared_norm` may be
    the mean over several small batches, and these may make up the big one.

    Raises:
        ValueError: the batch sizes are not 0 < small < big.
    """
    if not 0 < small_batch < big_batch < math.inf:
        raise ValueError(f"the batch sizes must be 0 < small < big, found {small_batch} and {big_batch}")
    squared = (big_batch * big_squared_norm - small_batch * small_squared_norm) / (big_batch - small_batch)
    noise = (small_squared_norm - big_squared_norm) / (1 / small_batch - 1 / big_batch)
    return NoiseEstimate(squared, noise)


def micro_batch_estimate(
    sizes: Sequence[float], squared_norms: Sequence[float], big_squared_norm: float
) -> NoiseEstimate:
    """Estimates from one accumulated step: the gradients of its micro-batches and their mean, weighted by size.

    `squared_norms` are those of each micro-batch's own mean gradient. The small batch size is the harmonic mean of `sizes`,
    which keeps the estimates unbiased when they are uneven (the expectation is linear in 1 / size).

    Raises:
        ValueError: fewer than two micro-batches, one without examples, or lists of different lengths.
    """
    if len(sizes) < 2 or len(sizes) != len(squared_norms) or min(sizes) <= 0:
        raise ValueError(f"needs two or more sizes above 0 and a norm for each, found {sizes} and {squared_norms}")
    small = len(sizes) / math.fsum(1 / size for size in sizes)
    return noise_estimate(small, math.fsum(sizes), math.fsum(squared_norms) / len(squared_norms), big_squared_norm)


class NoiseScale:
    """The noise scale over many steps: exponential averages of tr Σ and of |G|², and the ratio of the two.

    The weight of the newest step is 2 / (horizon + 1), and the averages are divided by their total weight, so the first
    steps are not biased towards 0 (Kingma & Ba 2015, section 3). Estimates that are not finite are counted and left out.
    """

    _REMEMBERED = ("squared_gradient", "noise", "weight", "left_out")

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.squared_gradient = 0.0
        self.noise = 0.0
        self.weight = 0.0
        self.left_out = 0

    def observe(self, estimate: NoiseEstimate) -> NoiseEstimate:
        """Process one step's estimates. Returns the averages, whose `scale` is the result."""
        if math.isfinite(estimate.squared_gradient) and math.isfinite(estimate.noise):
            alpha = 2 / (self.horizon + 1)
            self.squared_gradient += alpha * (estimate.squared_gradient - self.squared_gradient)
            self.noise += alpha * (estimate.noise - self.noise)
            self.weight += alpha * (1 - self.weight)
        else:
            self.left_out += 1
        return self.average()

    def average(self) -> NoiseEstimate:
        """The averages so far; NaN before the first finite estimate."""
        if self.weight == 0:
            return NoiseEstimate(math.nan, math.nan)
        return NoiseEstimate(self.squared_gradient / self.weight, self.noise / self.weight)

    def state_dict(self) -> dict[str, Any]:
        """The state, JSON-ready."""
        return {name: getattr(self, name) for name in self._REMEMBERED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        for name in self._REMEMBERED:
            setattr(self, name, state[name])
