"""Gates: minimum shares of solved pairs, with advice. `early` warns; the others stop a memory run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from trimtab.evidence import wilson_interval

GateName = Literal["single_question", "single_answer", "joint", "early"]

_ALONE = (
    "One text alone must be easy to store. Look at solve.lr and solve.margin, at whether the model has trained weights, "
    "and at the texts' length against the number of vectors."
)
_LOOK_AT = {
    "single_question": _ALONE,
    "single_answer": _ALONE,
    "joint": "Look at the number of vectors (ablations.vectors varies it), at solve.steps and solve.restarts, and at the curves.",
    "early": "The stage continues; Ctrl-C stops it. Look at the number of vectors and at solve.lr.",
}
FEWEST_UNSOLVED = 6
"""The fewest unsolved pairs for which the correlation of question and answer losses is computed."""


@dataclass(frozen=True)
class Gate:
    """The result of a gate: the share with Wilson's 95% interval, the threshold, and a message."""

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
    """Compare a share of solved pairs with its threshold."""
    share = solved / pairs
    low, high = wilson_interval(solved, pairs)
    passed = share >= threshold
    verdict = f"{solved} of {pairs} pairs are solved, {'at least' if passed else 'below'} the gate of {threshold:.0%}."
    message = verdict if passed else f"{verdict} {_LOOK_AT[name]}"
    return Gate(name, share, low, high, threshold, passed, " ".join((message, *hints)))


def correlation_interval(correlation: float, pairs: int) -> tuple[float, float]:
    """The 95% interval of a Pearson correlation over more than 3 pairs, by Fisher's z transformation (Fisher 1921)."""
    if abs(correlation) >= 1:
        return correlation, correlation
    middle, half = math.atanh(correlation), NormalDist().inv_cdf(0.975) / math.sqrt(pairs - 3)
    return math.tanh(middle - half), math.tanh(middle + half)


def joint_hints(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hints from the joint stage's losses: question and answer losses that are anti-correlated, and losses that are exactly 0."""
    messages = []
    # only a pair's last restart, because its other ones are not independent evidence
    last = {row["pair"]: row for row in sorted(rows, key=lambda row: row["restart"])}
    unsolved = [row["loss"] for row in last.values() if row["status"] == "unsolved"]
    losses = np.array([[loss["question"], loss["answer"]] for loss in unsolved], dtype=float)
    if len(losses) >= FEWEST_UNSOLVED and np.isfinite(losses).all() and (losses.std(axis=0) > 0).all():
        correlation = float(np.corrcoef(losses.T)[0, 1])
        low, high = correlation_interval(correlation, len(losses))
        if high < 0:
            messages.append(
                f"Over the {len(losses)} unsolved pairs the question's and the answer's final losses are anti-correlated "
                f"({correlation:.2f}, 95% interval {low:.2f} to {high:.2f}): the two may work against each other, and "
                "paraphrases may help."
            )
    zero = sum(row["loss"]["question"] == 0.0 or row["loss"]["answer"] == 0.0 for row in rows)
    if zero > 0.1 * len(rows):
        messages.append(
            f"In {zero} of {len(rows)} candidates a loss is exactly 0.0: a target leaks into the input before it. Look at "
            "the layout and the positions of the targets."
        )
    return messages
