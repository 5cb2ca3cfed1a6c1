"""The shares below which a memory run stops, and what to look at then."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
ANTI_CORRELATED = -0.3
"""Correlation of final question and answer losses over unsolved candidates below which they work against each other."""


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


def hints(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the joint stage's losses say beside their share: sides that work against each other, losses of nothing."""
    found = []
    unsolved = [row for row in rows if row["status"] == "unsolved"]
    pairs = np.array([[row["loss"]["question"], row["loss"]["answer"]] for row in unsolved], dtype=float)
    if len(pairs) >= 6 and np.isfinite(pairs).all() and (pairs.std(axis=0) > 0).all():
        correlation = float(np.corrcoef(pairs.T)[0, 1])
        if correlation < ANTI_CORRELATED:
            found.append(
                f"The question's and the answer's losses work against each other (correlation {correlation:.2f} over "
                f"{len(pairs)} unsolved candidates): other wordings may loosen them (paraphrases)."
            )
    nothing = sum(row["loss"]["question"] == 0.0 or row["loss"]["answer"] == 0.0 for row in rows)
    if nothing > 0.1 * len(rows):
        found.append(
            f"In {nothing} of {len(rows)} candidates a loss is exactly 0.0: a target leaks into what is read before it. Look at "
            "the layout and the positions of the targets."
        )
    return found
