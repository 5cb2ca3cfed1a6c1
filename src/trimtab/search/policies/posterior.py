"""What the values so far say about all settings: a Gaussian process over the unit cube."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Points = Float[np.ndarray, "points keys"]
Values = Float[np.ndarray, " points"]

LENGTHS = (0.2, 0.4, 0.8, 1.6)
"""Length scales that are tried, in units of the cube's side."""
NOISES = (0.01, 0.05, 0.2, 0.5)
"""Noise variances of one run that are tried, as shares of the variance between settings."""
_GRID = [(length, noise) for length in LENGTHS for noise in NOISES]
_USUAL = [(0.4, 0.05)]
_FEW = 4
"""With fewer settings than this, length and noise are not fitted."""
_APART = 0.5
"""The distance of two different choices along their coordinate."""
_SQRT5 = math.sqrt(5.0)


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of the value at points."""

    mean: Values
    sd: Values


class Posterior:
    """A Gaussian process with a Matérn kernel (ν = 5/2), fitted to values of which small ones are good.

    `points` were measured with `means`, each the mean of `counts` runs; `extra` is the variance of a mean beyond that of its runs
    (as of values at a pause). Length scale and noise are those with the highest likelihood among `LENGTHS` × `NOISES`; the
    variance between settings follows in closed form. Values far above the median are lowered to a bound first, so that diverged
    runs do not set the scale.
    """

    def __init__(
        self, points: Points, means: Values, counts: Values, extra: Values, choices: Bool[np.ndarray, " keys"]
    ) -> None:
        self._choices = choices
        self._points = points
        values = bounded(means)
        self._centre = float(values.mean())
        spread = float(values.std())
        self._unit = spread if spread > 0 else 1.0
        y = (values - self._centre) / self._unit
        tried = _USUAL if len(y) < _FEW else _GRID
        lengths, noises = np.array(tried).T
        squared = self._squared(points, points)
        variances = np.ones(len(tried))
        for _ in range(2 if extra.any() else 1):  # `extra` is in units of the variance, which the first pass finds
            own = noises[:, None] / counts + extra / (self._unit**2 * variances[:, None]) + 1e-8
            covariances = matern(squared, lengths[:, None, None]) + own[:, :, None] * np.eye(len(y))
            factors = np.linalg.cholesky(covariances)
            white = np.linalg.solve(factors, np.broadcast_to(y[:, None], (len(tried), len(y), 1)))[:, :, 0]
            variances = np.maximum((white**2).mean(axis=1), 1e-6)
        logs = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        best = int(np.argmax(-0.5 * len(y) * np.log(variances) - logs))
        self._length, noise = tried[best]
        self._inverse = np.linalg.inv(factors[best])
        self._white = white[best]
        self._scale = math.sqrt(variances[best]) * self._unit
        self.noise = math.sqrt(noise) * self._scale
        """The standard deviation of the value of one run."""

    def at(self, points: Points) -> Belief:
        """The belief about points."""
        cross = self._cross(points)
        mean = self._centre + self._unit * (cross.T @ self._white)
        sd = self._scale * np.sqrt(np.maximum(1.0 - (cross**2).sum(axis=0), 0.0))
        return Belief(mean, sd)

    def covariance(self, points: Points, others: Points) -> Float[np.ndarray, "points others"]:
        """The covariance of the values at two sets of points."""
        prior = matern(self._squared(points, others), self._length)
        result: np.ndarray = self._scale**2 * (prior - self._cross(points).T @ self._cross(others))
        return result

    def _cross(self, points: Points) -> np.ndarray:
        """The whitened correlations of the measured points with others."""
        result: np.ndarray = self._inverse @ matern(self._squared(self._points, points), self._length)
        return result

    def _squared(self, points: Points, others: Points) -> np.ndarray:
        """The squared distances of two sets of points."""
        numbers = ~self._choices
        a, b = points[:, numbers], others[:, numbers]
        squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
        for key in np.flatnonzero(self._choices):
            squared += _APART**2 * (np.abs(points[:, key, None] - others[None, :, key]) > 1e-9)
        result: np.ndarray = np.maximum(squared, 0.0)
        return result


def matern(squared: np.ndarray, length: float | np.ndarray) -> np.ndarray:
    """The Matérn correlation with ν = 5/2 of squared distances."""
    r = _SQRT5 * np.sqrt(squared) / length
    result: np.ndarray = (1.0 + r + r**2 / 3.0) * np.exp(-r)
    return result


def bounded(values: Values) -> Values:
    """The values with those far above the median lowered: to the median plus twice its distance from the lowest."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros_like(values)
    middle, lowest = float(np.median(finite)), float(finite.min())
    bound = middle + 2.0 * (middle - lowest) if middle > lowest else float(finite.max())
    result: Values = np.minimum(np.where(np.isfinite(values), values, bound), bound)
    return result
