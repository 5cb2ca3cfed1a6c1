"""Risk and coverage: the error rate when the least confident answers are withheld."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

Samples = Float[np.ndarray, " samples"]


@dataclass(frozen=True)
class Ladder:
    """Items and errors of each distinct confidence, from the highest down, one row per sample."""

    count: Float[np.ndarray, "samples levels"]
    errors: Float[np.ndarray, "samples levels"]


def area_under_risk_coverage(ladder: Ladder) -> Samples:
    """AURC: (1/N) Σ_k risk of the k most confident items (Geifman and El-Yaniv 2017; Geifman et al. 2019).

    Among equal confidences every order is as good as another: the value is the mean over all of them, so it does not
    depend on how the items were listed.
    """
    until = np.cumsum(ladder.count, axis=1)
    before = until - ladder.count
    wrong = np.cumsum(ladder.errors, axis=1) - ladder.errors
    rate = np.divide(ladder.errors, ladder.count, out=np.zeros_like(ladder.errors), where=ladder.count > 0)
    # The k-th item lies in the level with s items before it: risk (e_s + (k − s) rate)/k, summed over the level.
    harmonic = _harmonic(int(until[:, -1].max()))
    part = harmonic[until.astype(np.int64)] - harmonic[before.astype(np.int64)]
    area: Samples = ((wrong - before * rate) * part + rate * ladder.count).sum(axis=1) / until[:, -1]
    return area


def best_area(ladder: Ladder) -> Samples:
    """The AURC of the same errors, all less confident than any right answer: (1/N) Σ_{k > N−m} (k − (N − m))/k, m errors."""
    total, errors = ladder.count.sum(axis=1), ladder.errors.sum(axis=1)
    harmonic = _harmonic(int(total.max()))
    right = total - errors
    part = harmonic[total.astype(np.int64)] - harmonic[right.astype(np.int64)]
    area: Samples = (errors - right * part) / total
    return area


def risk_at(ladder: Ladder, coverage: Float[np.ndarray, " points"]) -> Float[np.ndarray, "samples points"]:
    """The risk of the most confident share of the items, for each coverage in (0, 1]; equal confidences in their mean order."""
    until = np.cumsum(ladder.count, axis=1)
    wrong = np.cumsum(ladder.errors, axis=1)
    risks = np.empty((len(until), len(coverage)))
    for row, (items, errors) in enumerate(zip(until, wrong, strict=True)):
        count = coverage * items[-1]
        risks[row] = np.interp(count, np.concatenate([[0.0], items]), np.concatenate([[0.0], errors])) / count
    return risks


@lru_cache(maxsize=8)
def _harmonic(n: int) -> Float[np.ndarray, " m"]:
    """H_0 … H_n, the sums of 1/k."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
