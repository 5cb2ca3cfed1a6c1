"""The belief about all settings."""

import numpy as np
import pytest

from trimtab.search.policies.posterior import LENGTHS, NOISES, Posterior, bounded, matern

NONE = np.zeros(2, bool)


def test_the_belief_is_that_of_the_textbook() -> None:
    """Rasmussen and Williams 2006, algorithm 2.1, with the fitted length and noise."""
    random = np.random.default_rng(0)
    points, other = random.random((9, 2)), random.random((5, 2))
    values = np.sin(3 * points[:, 0]) + 0.1 * random.standard_normal(9)
    counts = np.array([1, 2, 1, 1, 3, 1, 1, 1, 1.0])
    made = Posterior(points, values, counts, np.zeros(9), NONE)
    assert made._length in LENGTHS
    scale = made._scale**2
    noise = made.noise**2

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        r = np.sqrt(5 * ((a[:, None] - b[None]) ** 2).sum(2)) / made._length
        return scale * (1 + r + r**2 / 3) * np.exp(-r)

    known = bounded(values)
    covariance = kernel(points, points) + np.diag(noise / counts)
    inverse = np.linalg.inv(covariance)
    mean = known.mean() + kernel(other, points) @ inverse @ (known - known.mean())
    rest = kernel(other, other) - kernel(other, points) @ inverse @ kernel(points, other)
    belief = made.at(other)
    np.testing.assert_allclose(belief.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(belief.sd, np.sqrt(np.diag(rest)), rtol=1e-4)
    np.testing.assert_allclose(made.covariance(other, other), rest, atol=1e-6)


def test_length_and_noise_are_those_with_the_highest_likelihood() -> None:
    random = np.random.default_rng(3)
    points = random.random((40, 2))
    smooth = Posterior(points, points[:, 0] + points[:, 1], np.ones(40), np.zeros(40), NONE)
    assert smooth._length >= 0.8 and smooth.noise == pytest.approx(np.sqrt(min(NOISES)) * smooth._scale)
    noisy = Posterior(points, random.standard_normal(40), np.ones(40), np.zeros(40), NONE)
    assert noisy.noise > 5 * smooth.noise


def test_other_choices_are_apart_and_a_setting_with_more_runs_is_more_certain() -> None:
    points = np.array([[0.2, 0.25], [0.2, 0.75], [0.8, 0.25], [0.9, 0.75]])
    made = Posterior(
        points, np.array([0.0, 1.0, 0.1, 0.9]), np.array([1, 8, 1, 1.0]), np.zeros(4), np.array([False, True])
    )
    belief = made.at(points)
    assert belief.mean[0] < belief.mean[1] and belief.sd[1] < belief.sd[0]
    squared = made._squared(points[:1], points[1:2])
    assert squared[0, 0] == pytest.approx(0.25)
    assert matern(np.array([0.0]), 1.0)[0] == 1.0


def test_diverged_runs_do_not_set_the_scale() -> None:
    values = np.array([2.5, 2.6, 2.7, 4.6, np.inf])
    np.testing.assert_allclose(bounded(values), [2.5, 2.6, 2.7, 2.95, 2.95])
    np.testing.assert_allclose(bounded(np.array([np.inf, np.inf])), [0.0, 0.0])
    np.testing.assert_allclose(bounded(np.array([1.0, 1.0, 1.0])), [1.0, 1.0, 1.0])
