"""Checks of the input: confidences, outcomes, clusters, distributions."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

Confidences = Float[np.ndarray, " n"]
Distributions = Float[np.ndarray, "n classes"]
Clusters = Int[np.ndarray, "n ways"]
Groups = Sequence[Hashable] | np.ndarray | None
"""The cluster of each item, or two columns of clusters where items are related in two ways (by seed, by prompt)."""

SUM_TOLERANCE = 1e-4
"""How far the probabilities of one item may be from summing to 1: single precision over a large vocabulary."""


def as_confidences(values: Any, what: str = "confidence") -> Confidences:
    """`values` as float64 numbers in [0, 1], one per item.

    Raises ValueError for another shape, no item, NaN, and values outside [0, 1]; it names the first bad item (from 0).
    """
    array = _numbers(values, what)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} should be a list of at least one number, one per item; its shape is {array.shape}.")
    _inside(array, what)
    return array


def as_outcomes(values: Any, n: int, what: str = "correct") -> Confidences:
    """`values` as float64 zeros and ones, `n` of them. Raises ValueError for anything else."""
    array = _numbers(values, what)
    if array.shape != (n,):
        raise ValueError(f"{what} should have one value for each of the {n} items; its shape is {array.shape}.")
    wrong = ~((array == 0) | (array == 1))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{what} should be 0 or 1 (False or True); item {at} is {array[at]}.")
    return array


def as_distributions(values: Any, what: str = "probabilities") -> Distributions:
    """`values` as float64 rows of probabilities, one row per item, each summing to 1 within `SUM_TOLERANCE`.

    Nothing is renormalised. Raises ValueError for another shape, no item, no class, NaN, values outside [0, 1], and other
    sums.
    """
    array = _numbers(values, what)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{what} should have one row per item and one column per class; its shape is {array.shape}.")
    _inside(array, what)
    sums = array.sum(axis=1)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        at = int(np.flatnonzero(off)[0])
        raise ValueError(f"{what} should sum to 1 for every item; those of item {at} sum to {sums[at]:.6g}.")
    return array


def as_labels(values: Any, n: int, classes: int) -> Int[np.ndarray, " n"]:
    """`values` as `n` whole numbers below `classes`. Raises ValueError for anything else."""
    array = np.asarray(values)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(f"labels should be {n} whole numbers, one per item; found {array.dtype}, shape {array.shape}.")
    wrong = (array < 0) | (array >= classes)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"labels should lie between 0 and {classes - 1}; that of item {at} is {array[at]}.")
    return array.astype(np.int64)


def as_clusters(groups: Groups, n: int) -> Clusters | None:
    """The clusters as numbers from 0, a column a way of clustering; None where the items are independent.

    Raises ValueError where there is not one cluster (or a row of two) for each item.
    """
    if groups is None:
        return None
    array = groups if isinstance(groups, np.ndarray) else _objects(groups)
    if array.ndim not in (1, 2) or len(array) != n or array.size not in (n, 2 * n):
        raise ValueError(f"groups should give a cluster, or a row of two, for each of {n} items; found {array.shape}.")
    columns = array.reshape(n, -1).T
    return np.stack([_numbered(column) for column in columns], axis=1)


def _objects(groups: Sequence[Hashable]) -> np.ndarray:
    """Names as they are: NumPy alone would make text of mixed names, and rows of tuples that are names."""
    array = np.empty(len(groups), dtype=object)
    for place, name in enumerate(groups):
        array[place] = name
    return array


def _numbered(column: np.ndarray) -> Int[np.ndarray, " n"]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in column.tolist()], dtype=np.int64)


def _numbers(values: Any, what: str) -> Float[np.ndarray, "..."]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} should be numbers in equal rows: {error}.") from error


def _inside(array: Float[np.ndarray, "..."], what: str) -> None:
    wrong: Bool[np.ndarray, ...] = ~((array >= 0) & (array <= 1))  # NaN is wrong too
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{what} should lie in [0, 1]; that of item {at[0]} is {array[at]}.")
