"""Samples drawn anew: of items or clusters for intervals, of outcomes for the score of a perfect predictor."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from trimtab.evaluation.calibration.arrays import Clusters

_CHUNK = 2_000_000  # numbers held at a time: 16 MB


def chunks(draws: int, n: int) -> Iterator[int]:
    """`draws` in parts that fit in memory beside `n` items each."""
    size = max(1, _CHUNK // n)
    for start in range(0, draws, size):
        yield min(size, draws - start)


def generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """One for the resamples and one for the simulated outcomes, so that the number of the former never moves the latter."""
    first, second = np.random.SeedSequence(seed).spawn(2)
    return np.random.default_rng(first), np.random.default_rng(second)


def bootstrap_counts(
    n: int, clusters: Clusters | None, draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws n"]:
    """How often each item stands in each resample.

    Items are drawn with replacement; with clusters, whole clusters are; with several ways of clustering, each way is drawn
    on its own and an item counts the product of its clusters' counts (the pigeonhole bootstrap, Owen 2007: its intervals
    are a little too wide, never too narrow for want of a way). A resample without items, possible where ways are unbalanced,
    is drawn again.
    """
    if clusters is None:
        return _multinomial(n, draws, generator)
    found = _products(clusters, draws, generator)
    while (empty := found.sum(axis=1) == 0).any():
        found[empty] = _products(clusters, int(empty.sum()), generator)
    return found


def resampled(clusters: Clusters | None, n: int) -> bool:
    """Whether resamples differ at all: two items, or two clusters in one way of clustering."""
    return n > 1 if clusters is None else bool((clusters > 0).any())


def simulated_outcomes(
    probability: Float[np.ndarray, " n"], draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws n"]:
    """Outcomes that are right as often as the confidences say, each independent of the others."""
    return (generator.random((draws, len(probability))) < probability).astype(np.float64)


def _products(clusters: Clusters, draws: int, generator: np.random.Generator) -> Float[np.ndarray, "draws n"]:
    found = np.ones((draws, len(clusters)))
    for way in clusters.T:
        found *= _multinomial(int(way.max()) + 1, draws, generator)[:, way]
    return found


def _multinomial(n: int, draws: int, generator: np.random.Generator) -> Float[np.ndarray, "draws n"]:
    drawn = generator.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
