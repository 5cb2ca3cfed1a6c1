"""Budgets compared on a table of outcomes: what each way to choose caps gets right, and for how many tokens."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int

Indices = Int[np.ndarray, " problems"]


@dataclass(frozen=True)
class Point:
    """The share of right answers and the mean number of thought tokens."""

    accuracy: float
    tokens: float


class Outcomes:
    """A table of outcomes: for each problem and cap the tokens used and whether the answer is right, and what was predicted."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], caps: Sequence[int]) -> None:
        self.caps = np.array(caps)
        self.right: Bool[np.ndarray, "problems caps"] = np.array([row["right"] for row in rows], dtype=bool)
        self.length = np.array([row["used"] for row in rows])
        self.used: Int[np.ndarray, "problems caps"] = np.minimum(self.length[:, None], self.caps[None])
        self.confidence: Float64[np.ndarray, "problems caps"] = np.array(
            [row["confidence_by_cap"] for row in rows], dtype=np.float64
        )
        self.use = np.array([row["use_by_cap"] for row in rows], dtype=np.float64)
        self.prompt_tokens = np.array([row["prompt_tokens"] for row in rows], dtype=np.float64)

    def with_confidence(self, confidence: Float64[np.ndarray, "problems caps"]) -> "Outcomes":
        """The same outcomes with another confidence."""
        changed = copy(self)
        changed.confidence = confidence
        return changed

    def under(self, chosen: Indices) -> Point:
        """The result of one cap, by index, for each problem."""
        rows = np.arange(len(chosen))
        return Point(float(self.right[rows, chosen].mean()), float(self.used[rows, chosen].mean()))

    def fixed(self, index: int) -> Point:
        """The result of one cap for all problems."""
        return self.under(np.full(len(self.right), index))

    def predicted(self, price: float) -> Indices:
        """The caps with the highest predicted confidence less the price of the predicted use."""
        return (self.confidence - price * self.use / self.caps[-1]).argmax(1)  # type: ignore[no-any-return]

    def calibration_error(self, index: int, *, bins: int = 10, repeats: int = 50) -> tuple[float, float]:
        """The expected calibration error of the confidence under a cap, and its mean for a calibrated model (the null floor).

        Bins hold equally many problems. For the floor, answers are drawn with the confidence as their chance of being right.
        """
        sure, right = self.confidence[:, index], self.right[:, index]
        order = np.array_split(np.argsort(sure, kind="stable"), bins)

        def error(outcome: Bool[np.ndarray, " problems"]) -> float:
            return float(sum(abs(sure[own].sum() - outcome[own].sum()) for own in order) / len(sure))

        random = np.random.Generator(np.random.PCG64(0))
        return error(right), float(np.mean([error(random.random(len(sure)) < sure) for _ in range(repeats)]))

    def shuffled(self, chosen: Indices) -> Point:
        """The expected result of the same caps, given to the problems at random."""
        share = np.bincount(chosen, minlength=len(self.caps)) / len(chosen)
        return Point(float(self.right.mean(0) @ share), float(self.used.mean(0) @ share))

    def hull(self, tokens: float) -> float:
        """The highest accuracy of a mixture of fixed caps with so many tokens on average: the time-sharing hull.

        A mixture may also use fewer tokens than it is allowed.
        """
        points = sorted(
            {(0.0, 0.0), *((point.tokens, point.accuracy) for point in map(self.fixed, range(len(self.caps))))}
        )
        best = 0.0
        for low in points:
            if low[0] <= tokens:
                best = max(best, low[1])
            for high in points:
                if low[0] <= tokens < high[0]:
                    best = max(best, low[1] + (high[1] - low[1]) * (tokens - low[0]) / (high[0] - low[0]))
        return best

    def oracle(self, tokens: float) -> float:
        """The accuracy of budgets chosen with knowledge of the length of every thought, with so many tokens on average.

        The shortest thoughts are had whole, and the others not at all. Which answers will be right by luck it does not know.
        """
        order = np.argsort(self.length, kind="stable")
        affordable = np.cumsum(self.length[order]) <= tokens * len(order) + 1e-9
        return float(np.where(affordable, self.right[order, -1], self.right[order, 0]).mean())

    def price_for(self, share: float) -> float:
        """The price at which predicted caps use this share of the tokens of free thoughts, as closely as any price does."""
        goal = share * float(self.length.mean())
        low, high = 0.0, 1.0
        while self.under(self.predicted(high)).tokens > goal and high < 1e6:
            low, high = high, 2 * high
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.under(self.predicted(middle)).tokens > goal else (low, middle)
        return high

    def by_prompt_length(self, training: "Outcomes", tokens: float) -> Indices:
        """Caps in proportion to the length that a regression on the prompt's length expects, with so many tokens on average.

        The regression is fitted to `training`.
        """
        x = training.prompt_tokens - training.prompt_tokens.mean()
        slope = float(x @ training.length / (x @ x)) if float(x @ x) else 0.0
        expected = training.length.mean() + slope * (self.prompt_tokens - training.prompt_tokens.mean())

        def caps_for(scale: float) -> Indices:
            return (np.searchsorted(self.caps, scale * np.clip(expected, 0, None), side="right") - 1).clip(0)  # type: ignore[no-any-return]

        scales = np.linspace(0, 4, 401)
        return caps_for(max((s for s in scales if self.under(caps_for(s)).tokens <= tokens), default=0.0))


def compared(test: Outcomes, training: Outcomes, share: float) -> dict[str, Any]:
    """The figures of all budgets on `test`. The price is chosen on `training`.

    Each budget's `gain` is its accuracy less that of the hull at its own tokens.
    """
    price = training.price_for(share)
    chosen = test.predicted(price)
    points = {
        "predicted": test.under(chosen),
        "shuffled": test.shuffled(chosen),
        "none": test.fixed(0),
        "free": test.fixed(len(test.caps) - 1),
    }
    tokens = points["predicted"].tokens
    points["prompt_length"] = test.under(test.by_prompt_length(training, tokens))
    affordable = [point for point in map(test.fixed, range(len(test.caps))) if point.tokens <= tokens]
    points["fixed"] = max(affordable, key=lambda point: point.accuracy)
    points["oracle"] = Point(test.oracle(tokens), tokens)
    figures: dict[str, Any] = {"price": price}
    for name, point in points.items():
        hull = test.hull(point.tokens)
        figures[name] = {
            "accuracy": point.accuracy,
            "tokens": point.tokens,
            "hull": hull,
            "gain": point.accuracy - hull,
        }
    best = figures["oracle"]["gain"]
    figures["share_of_oracle"] = figures["predicted"]["gain"] / best if best > 0 else 0.0
    figures["calibration"] = {
        f"cap_{cap}": test.calibration_error(index)[0] for index, cap in enumerate(test.caps.tolist())
    }
    return figures
