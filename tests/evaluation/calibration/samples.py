"""Predictors whose calibration is known."""

import numpy as np


def calibrated(n, seed=0, a=2.0, b=1.0):
    """Confidences from a Beta(a, b), each right with its own probability."""
    generator = np.random.default_rng(seed)
    confidence = generator.beta(a, b, n)
    return confidence, generator.random(n) < confidence


def overconfident(n, seed=0, by=0.1):
    """Confidences uniform on [by, 1], each right with a probability lower by `by`."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(by, 1.0, n)
    return confidence, generator.random(n) < confidence - by


def distributions(n, classes, seed=0, sharpness=1.0):
    """Distributions over classes and labels drawn from them."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(classes, 1 / sharpness), n)
    labels = (generator.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)
    return p, np.minimum(labels, classes - 1)


def clustered(n, seed=0, size=10, by=0.1, reach=0.1):
    """Confidences surer than right by `by` on average; each cluster of `size` items has an error of its own, uniform within
    `reach` of that. Gives confidences, outcomes and each item's cluster."""
    generator = np.random.default_rng(seed)
    groups = np.arange(n) // size
    confidence = generator.uniform(by + 2 * reach, 1.0, n)
    error = by + generator.uniform(-reach, reach, n // size + 1)[groups]
    return confidence, generator.random(n) < confidence - error, groups
