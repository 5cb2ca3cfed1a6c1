import json
import math

import pytest
import torch

from tests.regimes.instruments.problems import generator
from trimtab.regimes.instruments import NoiseEstimate, NoiseScale, micro_batch_estimate, noise_estimate


def test_without_error_where_the_norms_are_the_expected_ones() -> None:
    squared, trace = 0.3, 12.0
    result = noise_estimate(4, 64, squared + trace / 4, squared + trace / 64)
    assert result.squared_gradient == pytest.approx(squared, rel=1e-12)
    assert result.noise == pytest.approx(trace, rel=1e-12)
    assert result.scale == pytest.approx(40, rel=1e-12)


@pytest.mark.parametrize("sizes", [[4, 4, 4, 4], [1, 2, 5, 8]])
def test_synthetic_gradients_with_known_noise(sizes: list[int]) -> None:
    # Micro-batch means of Gaussian gradients, N(G, Σ / b), with a diagonal Σ; 4,000 steps of 20 coordinates.
    steps, made = 4000, generator()
    truth = torch.linspace(-1, 1, 20, dtype=torch.float64)
    deviation = torch.linspace(0.5, 3, 20, dtype=torch.float64)
    squared, trace = (truth**2).sum().item(), (deviation**2).sum().item()
    count = torch.tensor(sizes, dtype=torch.float64)
    noise = torch.randn(steps, len(sizes), 20, generator=made, dtype=torch.float64) * deviation
    gradients = truth + noise / count.sqrt()[None, :, None]
    big = (gradients * (count / count.sum())[None, :, None]).sum(1)
    norms, big_norms = (gradients**2).sum(-1).tolist(), (big**2).sum(-1).tolist()
    estimates = [micro_batch_estimate(sizes, row, whole) for row, whole in zip(norms, big_norms, strict=True)]
    for values, right in (
        ([e.squared_gradient for e in estimates], squared),
        ([e.noise for e in estimates], trace),
    ):
        series = torch.tensor(values, dtype=torch.float64)
        error = (series.std() / steps**0.5).item()
        assert error < 0.03 * right  # the simulation decides something
        assert abs(series.mean().item() - right) < 3 * error
    meter = NoiseScale(horizon=100_000)  # nearly a plain mean, if its weights are right from the start
    for estimate in estimates:
        average = meter.observe(estimate)
    assert average.scale == pytest.approx(trace / squared, rel=0.05)


def test_averages_are_weighted_means() -> None:
    meter, alpha = NoiseScale(horizon=3), 0.5
    values = [(1.0, 10.0), (2.0, 30.0), (4.0, 20.0)]
    for squared, noise in values:
        meter.observe(NoiseEstimate(squared, noise))
    weights = [alpha * (1 - alpha) ** age for age in (2, 1, 0)]
    average = meter.average()
    for index, result in enumerate((average.squared_gradient, average.noise)):
        right = sum(w * v[index] for w, v in zip(weights, values, strict=True)) / sum(weights)
        assert result == pytest.approx(right, rel=1e-12)


def test_averages_are_restored_from_json() -> None:
    meter = NoiseScale(horizon=5)
    for step in range(4):
        meter.observe(NoiseEstimate(1.0 + step, math.nan if step == 2 else 3.0 * step))
    twin = NoiseScale(horizon=5)
    twin.load_state_dict(json.loads(json.dumps(meter.state_dict())))
    assert meter.left_out == twin.left_out == 1
    assert meter.observe(NoiseEstimate(0.1, 0.2)) == twin.observe(NoiseEstimate(0.1, 0.2))


def test_a_scale_that_the_estimates_do_not_resolve_is_nan() -> None:
    assert math.isnan(NoiseScale(10).average().scale)
    assert math.isnan(NoiseEstimate(-0.1, 3.0).scale)
    assert math.isnan(NoiseEstimate(0.0, 3.0).scale)
    assert math.isnan(NoiseEstimate(0.1, -3.0).scale)
    assert NoiseEstimate(0.1, 0.0).scale == 0.0
    meter = NoiseScale(10)
    assert math.isnan(meter.observe(NoiseEstimate(math.inf, 1.0)).scale) and meter.left_out == 1
    meter.observe(NoiseEstimate(-1.0, 2.0))  # negative estimates count: they are what keeps the mean unbiased
    alpha = 2 / 11
    right = 2.0 / ((3.0 - (1 - alpha)) / (2 - alpha))
    assert meter.observe(NoiseEstimate(3.0, 2.0)).scale == pytest.approx(right)


def test_wrong_input() -> None:
    for small, big in ((4, 4), (0, 4), (8, 4), (4, math.inf)):
        with pytest.raises(ValueError, match="0 < small < big"):
            noise_estimate(small, big, 1.0, 1.0)
    for sizes, norms in (([4], [1.0]), ([4, 4], [1.0]), ([4, 0], [1.0, 1.0])):
        with pytest.raises(ValueError, match="two or more sizes"):
            micro_batch_estimate(sizes, norms, 1.0)
