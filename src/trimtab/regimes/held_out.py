"""How well a policy predicts the effects of decisions of seeds that it was not fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from trimtab.regimes.actions import ACTIONS
from trimtab.regimes.fitting import Point
from trimtab.regimes.policy import CAUTION, MARGIN, LinearPolicy


@dataclass(frozen=True)
class Prediction:
    """Predictions for one action compared with measured effects.

    `r_squared` is 1 minus the squared errors over those of predicting the mean of these effects; `rank_correlation` is
    Spearman's; `right_signs` is the share of predictions with the sign of the effect, and `never_right` the share of effects
    that are not negative, where never acting was right. NaN where there are too few decisions.
    """

    action: str
    decisions: int
    mean_effect: float
    r_squared: float
    rank_correlation: float
    right_signs: float
    never_right: float


@dataclass(frozen=True)
class Value:
    """The recorded decisions that a policy would make too: their number, and their weighted mean effect (see `value`).

    `decisions` and `mean_of_all` are those of all recorded decisions, unweighted.
    """

    agreeing: int
    mean_effect: float
    decisions: int
    mean_of_all: float


def split_seeds(seeds: Sequence[int], share: float) -> list[int]:
    """The seeds to hold out: this share of them, at least one, evenly spread; none where fewer than two would be left to fit."""
    count = max(1, round(share * len(seeds)))
    if len(seeds) - count < 2:
        return []
    places = ((np.arange(count) + 0.5) * len(seeds) / count).astype(int)
    return [sorted(seeds)[place] for place in places]


def predictions(policy: LinearPolicy, points: Sequence[Point]) -> list[Prediction]:
    """A row for each action that was taken."""
    rows = []
    for action in ACTIONS:
        own = [point for point in points if point.action == action]
        if own:
            predicted = np.array([policy.predict(point.features)[action][0] for point in own])
            rows.append(_compared(action, predicted, np.array([point.effect for point in own])))
    return rows


def value(policy: LinearPolicy, points: Sequence[Point]) -> Value:
    """The mean effect of the decisions of the controller `learned` with its defaults, from those that were also recorded.

    At a step where `exploring` acts, it draws each possible action with the same probability. A recorded decision that the
    policy would make too is therefore weighted by the number of actions that were possible. The weighted mean estimates the
    mean effect of the policy's decisions at the steps where `exploring` acted: self-normalised importance sampling, which
    is consistent but biased in small samples. For the decisions of another controller it is no such estimate.
    """
    taken = [point for point in points if point.action is not None]
    effects, weights = list[float](), list[int]()
    for point in taken:
        best = policy.best(point.features, point.possible, margin=MARGIN, caution=CAUTION)
        if best is not None and best[0] == point.action:
            effects.append(point.effect)
            weights.append(len(point.possible))
    mean = float(np.average(effects, weights=weights)) if effects else math.nan
    return Value(len(effects), mean, len(taken), _mean([point.effect for point in taken]))


def _compared(action: str, predicted: Float[np.ndarray, " n"], effects: Float[np.ndarray, " n"]) -> Prediction:
    spread = float(((effects - effects.mean()) ** 2).sum())
    varies = len(effects) > 2 and spread > 0 and float(np.ptp(predicted)) > 0
    return Prediction(
        action=action,
        decisions=len(effects),
        mean_effect=float(effects.mean()),
        r_squared=1 - float(((effects - predicted) ** 2).sum()) / spread if varies else math.nan,
        rank_correlation=float(stats.spearmanr(predicted, effects).statistic) if varies else math.nan,
        right_signs=float(((predicted < 0) == (effects < 0)).mean()),
        never_right=float((effects >= 0).mean()),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
