"""Sequential testing: judging a claim after every pair, with an error rate that holds at any stopping time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trimtab.errors import ConfigError, DataError
from trimtab.evidence.arrays import as_differences
from trimtab.evidence.claims import Claim
from trimtab.evidence.e_values import t_confidence_sequence, t_e_value
from trimtab.evidence.rule import FEWEST_PAIRS
from trimtab.evidence.tails import tail

Conclusion = Literal["continue", "superior", "inferior", "equivalent", "inconclusive"]


@dataclass(frozen=True)
class SequentialResult:
    """The state of a sequential comparison after `n` pairs; any conclusion but 'continue' ends it."""

    n: int
    conclusion: Conclusion
    e_value: float
    low: float
    high: float
    reason: str


class Sequential:
    """A claim judged after every pair by the t-e-process and its confidence sequence, for at most `budget` pairs.

    It takes one difference at a time (treatment − baseline; of logarithms for a log claim). From 6 pairs on it concludes
    'equivalent' when the (1 − α) confidence sequence lies wholly inside ±margin; 'superior' or 'inferior' when E ≥ 1/α and the
    sequence lies on one side of 0, unless the tail is heavy and the claim's scale is 'plain'; and 'inconclusive' when the budget
    is spent.
    For normal differences a false claim has probability at most α at any stopping time (Ville's inequality). Raises
    ConfigError for a budget under 6 and for a trimmed claim, which has no t-e-process.
    """

    def __init__(self, claim: Claim, budget: int) -> None:
        if budget < FEWEST_PAIRS:
            raise ConfigError(f"A budget of {budget} pairs cannot give a verdict; plan at least {FEWEST_PAIRS}.")
        if claim.scale == "trimmed":
            raise ConfigError(
                "A trimmed claim cannot be judged sequentially: the t-e-process is one of means. Use plain or log."
            )
        self.claim = claim
        self.budget = budget
        self.differences: list[float] = []

    def feed(self, difference: float) -> SequentialResult:
        """Add the next pair's difference. Raises DataError if it is not finite or the comparison has ended."""
        if self.differences and (now := self.result()).conclusion != "continue":
            raise DataError(
                f"This comparison ended after {now.n} pairs ({now.conclusion}); a further pair cannot change it."
            )
        self.differences.append(float(as_differences([difference])[0]))
        return self.result()

    def result(self) -> SequentialResult:
        """The result so far; 'continue' with E = 1 before the first pair."""
        n = len(self.differences)
        if n == 0:
            return SequentialResult(0, "continue", 1.0, float("-inf"), float("inf"), "no pair yet")
        low, high = t_confidence_sequence(self.differences, self.claim.alpha)
        e_value = t_e_value(self.differences)
        step, why = self._step(n, e_value, low, high)
        return SequentialResult(n, step, e_value, low, high, why)

    def _step(self, n: int, e_value: float, low: float, high: float) -> tuple[Conclusion, str]:
        margin = self.claim.margin
        if n < FEWEST_PAIRS:
            return "continue", f"no decision under {FEWEST_PAIRS} pairs"
        if -margin < low and high < margin:
            return "equivalent", f"the confidence sequence lies wholly inside ±{margin:g}"
        why = "the evidence does not decide yet"
        if e_value >= 1 / self.claim.alpha and (low > 0 or high < 0):
            if self.claim.scale == "log" or not tail(self.differences).heavy:
                better = (low > 0) == self.claim.higher_is_better
                return "superior" if better else "inferior", f"E = {e_value:.3g} reached 1/α = {1 / self.claim.alpha:g}"
            why = f"E = {e_value:.3g} would decide, but the tail of the differences is heavy"
        return ("continue", why) if n < self.budget else ("inconclusive", f"{self.budget} pairs are spent; {why}")

    def state_dict(self) -> dict[str, Any]:
        """The differences so far and the plan, JSON-ready."""
        return {
            "claim": self.claim.text,
            "alpha": self.claim.alpha,
            "budget": self.budget,
            "differences": list(self.differences),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()`. Raises ConfigError if its claim, alpha or budget is another."""
        own = self.state_dict()
        for key in ("claim", "alpha", "budget"):
            if state.get(key) != own[key]:
                raise ConfigError(
                    f"The saved comparison has another {key}, {state.get(key)!r} instead of {own[key]!r}: the plan "
                    "cannot change during a comparison. Start a new one."
                )
        saved = list(state["differences"])
        self.differences = as_differences(saved).tolist() if saved else []
