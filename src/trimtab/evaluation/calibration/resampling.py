"""Resamples of items or clusters for intervals, and simulated outcomes for the score of a perfect predictor."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trimtab.evaluation.calibration.arrays import Clusters

Measured = Mapping[str, Float[np.ndarray, "..."]]
"""Figures by name; the first dimension is the sample."""

_CHUNK = 2_000_000  # numbers in memory at a time: 16 MB


@dataclass(frozen=True)
class Resamples:
    """Figures of resamples in which `units` clusters (or items) were drawn."""

    units: int
    draws: Measured


def generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """A generator for resamples and one for simulated outcomes, so that the number of the former does not change the latter."""
    first, second = np.random.SeedSequence(seed).spawn(2)
    return np.random.default_rng(first), np.random.default_rng(second)


def bootstrap(
    measure: Callable[[Float[np.ndarray, "samples n"]], Measured],
    clusters: Clusters | None,
    n: int,
    draws: int,
    generator: np.random.Generator,
) -> list[Resamples]:
    """The values of `measure` on `draws` resamples; it receives how often each item occurs in each.

    Items are drawn with replacement; with clusters, whole clusters are. With two clusterings there are three sets of
    resamples, for `interval`: by the first, by the second, and by their intersection. A clustering with one cluster is skipped.
    Returns an empty list if nothing can be drawn.
    """
    units = [np.arange(n)] if clusters is None else [way for way in clusters.T if way.any()]
    if len(units) == 2:
        units.append(np.unique(np.stack(units, axis=1), axis=0, return_inverse=True)[1].reshape(-1))
    made = []
    for of_item in units if n > 1 and draws else []:
        count = int(of_item.max()) + 1
        parts = [measure(_multinomial(count, size, generator)[:, of_item]) for size in _chunks(draws, n)]
        made.append(Resamples(count, joined(parts)))
    return made


def simulate(
    measure: Callable[[Float[np.ndarray, "samples n"]], Measured],
    probability: Float[np.ndarray, " n"],
    draws: int,
    generator: np.random.Generator,
) -> Measured:
    """What `measure` gives for `draws` sets of outcomes, each right with its own `probability`, independently."""
    return joined(
        [
            measure((generator.random((size, len(probability))) < probability).astype(np.float64))
            for size in _chunks(draws, len(probability))
        ]
    )


def simulate_labels(
    measure: Callable[[Int[np.ndarray, "samples n"]], Measured],
    probabilities: Float[np.ndarray, "n classes"],
    draws: int,
    generator: np.random.Generator,
) -> Measured:
    """What `measure` gives for `draws` sets of labels drawn from the items' `probabilities`."""
    n, classes = probabilities.shape
    cumulative = np.cumsum(probabilities, axis=1)
    parts = []
    for size in _chunks(draws, n):
        # The sums are 1 but for rounding; scaled by them, no draw falls beyond the last class or on one without probability.
        at = generator.random((size, n)) * cumulative[:, -1]
        labels = np.zeros((size, n), dtype=np.int64)
        for k in range(classes - 1):
            labels += at >= cumulative[:, k]
        parts.append(measure(labels))
    return joined(parts)


def joined(parts: list[Measured]) -> Measured:
    """Several batches of samples joined; an empty mapping for none."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _chunks(draws: int, n: int) -> Iterator[int]:
    """`draws` in parts whose arrays of `n` items fit into memory."""
    size = max(1, _CHUNK // n)
    for start in range(0, draws, size):
        yield min(size, draws - start)


def _multinomial(n: int, draws: int, generator: np.random.Generator) -> Float[np.ndarray, "draws n"]:
    drawn = generator.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
