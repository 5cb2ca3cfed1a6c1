"""The shares below which a memory run stops, and what to look at then."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from trimtab.evidence import wilson_interval

GateName = Literal["single_question", "single_answer", "joint", "early"]

_ALONE = (
    "One text alone must be easy to store. Look at solve.lr and solve.margin, at whether the model has learned weights at all, "
    "and at the texts' length against the number of vectors."
)
_LOOK_AT = {
    "single_question": _ALONE,
    "single_answer": _ALONE,
    "joint": "Look at the number of vectors (an ablation over it tells), at solve.steps and solve.restarts, and at the curves.",
    "early": "The stage goes on; Ctrl-C stops it. Look at the number of vectors and at solve.lr.",
}
FEWEST = 6
"""Unsolved pairs from which on the correlation of their final question and answer losses is looked at."""


@dataclass(frozen=True)
class Gate:
    """One look at a share: Wilson's 95% interval, the threshold, and what follows in words."""

    gate: GateName
    share: float
    low: float
    high: float
    threshold: float
    passed: bool
    message: str

    def row(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def gate(name: GateName, solved: int, pairs: int, threshold: float, hints: Sequence[str] = ()) -> Gate:
    """Hold a share of solved pairs against its threshold."""
    share = solved / pairs
    low, high = wilson_interval(solved, pairs)
    passed = share >= threshold
    verdict = f"{solved} of {pairs} pairs are solved; {'the' if passed else 'under the'} gate of {threshold:.0%}"
    message = f"{verdict} is passed." if passed else f"{verdict}. {_LOOK_AT[name]}"
    return Gate(name, share, low, high, threshold, passed, " ".join((message, *hints)))


def correlation_interval(correlation: float, pairs: int) -> tuple[float, float]:
    """The 95% interval of a Pearson correlation over more than 3 pairs, by Fisher's z transformation (Fisher 1921)."""
    if abs(correlation) >= 1:
        return correlation, correlation
    middle, half = math.atanh(correlation), NormalDist().inv_cdf(0.975) / math.sqrt(pairs - 3)
    return math.tanh(middle - half), math.tanh(middle + half)


def hints(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the joint stage's losses say beside their share: sides that work against each other, losses of nothing."""
    found = []
    # a pair's last restart alone: its other ones are no independent evidence
    last = {row["pair"]: row for row in sorted(rows, key=lambda row: row["restart"])}
    unsolved = [row["loss"] for row in last.values() if row["status"] == "unsolved"]
    losses = np.array([[loss["question"], loss["answer"]] for loss in unsolved], dtype=float)
    if len(losses) >= FEWEST and np.isfinite(losses).all() and (losses.std(axis=0) > 0).all():
        correlation = float(np.corrcoef(losses.T)[0, 1])
        low, high = correlation_interval(correlation, len(losses))
        if high < 0:
            found.append(
                f"Over the {len(losses)} unsolved pairs the question's and the answer's final losses are anti-correlated "
                f"({correlation:.2f}, 95% interval {low:.2f} to {high:.2f}): the sides may work against each other, and other "
                "wordings may loosen them (paraphrases)."
            )
    nothing = sum(row["loss"]["question"] == 0.0 or row["loss"]["answer"] == 0.0 for row in rows)
    if nothing > 0.1 * len(rows):
        found.append(
            f"In {nothing} of {len(rows)} candidates a loss is exactly 0.0: a target leaks into what is read before it. Look at "
            "the layout and the positions of the targets."
        )
    return found
