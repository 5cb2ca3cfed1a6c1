"""Temperature scaling (Guo et al. 2017): one number, fitted on some of the items and evaluated on the others."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trimtab.evaluation.calibration.arrays import Groups, as_clusters, as_labels
from trimtab.evaluation.calibration.binning import BINS, BinSums, calibration_error, width_bins

COLDEST, HOTTEST = 0.01, 100.0
"""The range of temperatures that is searched."""

_HALVINGS = 60


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature T, for softmax(logits / T), and what it does on the items it was not fitted on.

    `nll_*` (nats per item) and `ece_*` (of the likeliest class, `BINS` bins of equal width) are those of the other items.
    `at_bound`: no best temperature lies between `COLDEST` and `HOTTEST`; this is the better end.
    """

    temperature: float
    at_bound: bool
    fitted_on: int
    judged_on: int
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def fit_temperature(
    logits: Any, labels: Any, *, groups: Groups = None, share: float = 0.5, seed: int
) -> TemperatureFit:
    """The temperature of least NLL on a random `share` of the items, and NLL and ECE before and after on the rest.

    `logits` [n, classes], finite, or −inf for a class that an item does not have; `labels` [n], each a class of its item.
    NLL is convex in 1/T (Guo et al. 2017), so its minimum is where the slope changes sign, found by bisection. With `groups` (one
    cluster per item) whole clusters go to one side: `share` of the clusters, at least one on either side. Raises ValueError for
    wrong shapes, other logits that are not finite, labels that are no class of their item, fewer than two items or clusters,
    several ways of clustering, and a share outside (0, 1).
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or z.size == 0:
        raise ValueError(f"logits should have one row per item and one column per class; the shape is {z.shape}.")
    if (wrong := np.isnan(z) | np.isposinf(z)).any():
        at = int(np.argwhere(wrong)[0, 0])
        raise ValueError(
            f"logits should be finite, or −inf for a class that an item does not have; item {at} has NaN or +inf."
        )
    y = as_labels(labels, *z.shape)
    if (lacking := np.isneginf(z[np.arange(len(z)), y])).any():
        raise ValueError(
            f"Item {int(np.flatnonzero(lacking)[0])} is labelled with a class that it does not have: its logit is −inf."
        )
    fitted_on = fitted_items(len(z), groups=groups, share=share, seed=seed)
    temperature, at_bound = best_temperature(z[fitted_on], y[fitted_on])
    rest, right = z[~fitted_on], y[~fitted_on]
    return TemperatureFit(
        temperature,
        at_bound,
        int(fitted_on.sum()),
        int((~fitted_on).sum()),
        _nll(rest, right, 1.0),
        _nll(rest, right, temperature),
        _ece(rest, right, 1.0),
        _ece(rest, right, temperature),
    )


def best_temperature(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]) -> tuple[float, bool]:
    """The temperature of least NLL on these items, and whether it is an end of the range.

    Returns temperature 1 if no temperature changes the NLL (all finite logits of each item are equal).
    """
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)  # bounds of log(1/T)
    if not (logits.max(axis=1) - np.where(np.isneginf(logits), np.inf, logits).min(axis=1)).any():
        return 1.0, False
    if _slope(logits, labels, np.exp(low)) >= 0:
        return HOTTEST, True
    if _slope(logits, labels, np.exp(high)) <= 0:
        return COLDEST, True
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(logits, labels, np.exp(middle)) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2)), False


def _slope(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], inverse: float) -> float:
    """The derivative of the mean NLL by the inverse temperature: expected logit minus the label's."""
    expected = (_softmax(logits * inverse) * np.where(np.isneginf(logits), 0.0, logits)).sum(axis=1)
    return float((expected - logits[np.arange(len(labels)), labels]).mean())


def _nll(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], temperature: float) -> float:
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]).mean())


def _ece(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], temperature: float) -> float:
    p = _softmax(logits / temperature)
    index, correct = width_bins(p.max(axis=1)), p.argmax(axis=1) == labels
    sums = [np.bincount(index, weights=w, minlength=BINS)[None, :] for w in (np.ones(len(p)), p.max(axis=1), correct)]
    return float(calibration_error(BinSums(*sums))[0])


def _softmax(scaled: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n classes"]:
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    softmax: Float[np.ndarray, "n classes"] = raised / raised.sum(axis=1, keepdims=True)
    return softmax


def fitted_items(n: int, *, groups: Groups = None, share: float = 0.5, seed: int) -> Bool[np.ndarray, " n"]:
    """The items that `fit_temperature` fits on; it evaluates on the others."""
    if not 0 < share < 1:
        raise ValueError(f"share should lie between 0 and 1; found {share}.")
    clusters = as_clusters(groups, n)
    if clusters is not None and clusters.shape[1] > 1:
        raise ValueError("groups should assign exactly one cluster to each item: two-way clusters cannot be split.")
    units = np.arange(n) if clusters is None else clusters[:, 0]
    count = int(units.max()) + 1
    if count < 2:
        raise ValueError(
            "At least two items are needed, or two clusters if `groups` is given: some to fit on, some to evaluate on."
        )
    chosen = np.random.default_rng(seed).permutation(count)[: min(max(round(share * count), 1), count - 1)]
    return np.isin(units, chosen)
