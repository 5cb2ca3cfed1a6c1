"""Fitting a linear policy to recorded decisions and their measured effects: ridge regression, or fitted Q-iteration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from trimtab.errors import ConfigError
from trimtab.regimes.actions import ACTIONS
from trimtab.regimes.policy import LinearPolicy

Method = Literal["ridge", "q"]
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
DISCOUNT = 0.98
"""Discount per step of fitted Q-iteration, unless another is given."""
ROUNDS = 10
"""Rounds of fitted Q-iteration: how many later decisions of a run a value looks ahead to."""


@dataclass(frozen=True, eq=False)
class Point:
    """A step of a recorded run at which a controller took an action, or none (`action` None, effect 0).

    `episode` identifies the run, `seed` its trunk, `place` counts the run's steps. `possible` are the actions that could have
    been taken.
    """

    episode: int
    seed: int
    place: int
    features: Float[np.ndarray, " f"]
    possible: tuple[str, ...]
    action: str | None
    effect: float


@dataclass(frozen=True, eq=False)
class Model:
    """A ridge regression on standardised features: its coefficients (the intercept last), their covariance and the penalty.

    `error` is the root mean squared error of predictions for seeds that were left out. Without points of two seeds there is
    no such error and nothing is predicted: the penalty is infinite, and `known` is False.
    """

    weights: Float[np.ndarray, " f1"]
    covariance: Float[np.ndarray, "f1 f1"]
    penalty: float
    error: float

    @property
    def known(self) -> bool:
        """Whether the model predicts anything."""
        return math.isfinite(self.penalty)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A policy, and the model behind each action; `none` is that of doing nothing (fitted Q only)."""

    policy: LinearPolicy
    models: dict[str, Model]
    none: Model | None


def fit(points: Sequence[Point], method: Method, card: dict[str, Any], discount: float = DISCOUNT) -> Fitted:
    """Fit a policy to the points of a ledger.

    *ridge* predicts the measured effect of each action: the difference that it makes when nothing is done afterwards. *q* adds
    what the policy itself does afterwards: the value of a decision is its effect plus the lowest value of the run's next point,
    times `discount` for each step in between. That sum is the policy's total effect on a run, up to the horizon of the measured
    effects (the performance difference lemma of Kakade and Langford 2002, with doing nothing as the reference policy). The
    policy then predicts the value of an action minus that of doing nothing.

    Effects have heavy tails: those of an action are limited to their 5% and 95% quantiles. The penalty of each model is
    chosen by leaving out one seed at a time. An action with points of fewer than two seeds is predicted to change nothing.
    The standard errors treat the points of one run as independent. Raises `ConfigError` where *q* lacks points without an
    action of two seeds, and for effects so large that the fit overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _fitted(points, method, card, discount)


def _fitted(points: Sequence[Point], method: Method, card: dict[str, Any], discount: float) -> Fitted:
    taken = np.array([point.features for point in points if point.action is not None])
    mean, spread = taken.mean(axis=0), taken.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    table = _Table(points, mean, scale)
    effects = _limited(points)
    models = {name: table.model(name, effects) for name in ACTIONS}
    none = None
    if method == "q":
        if len({point.seed for point in points if point.action is None}) < 2:
            raise ConfigError(
                "The method q needs steps without a decision, of at least two seeds, and the ledger has none. Use the method "
                "ridge."
            )
        for _ in range(ROUNDS):
            values = effects + discount**table.steps_to_next * table.values_of_next(models, none)
            models = {name: table.model(name, values) for name in ACTIONS}
            none = table.model(None, values)
    weights, covariance = np.zeros((len(ACTIONS), table.width)), np.zeros((len(ACTIONS), table.width, table.width))
    for place, model in enumerate(models.values()):
        if model.known:
            weights[place] = model.weights - (0 if none is None else none.weights)
            covariance[place] = model.covariance + (0 if none is None else none.covariance)
    if not (np.isfinite(weights).all() and np.isfinite(covariance).all()):
        largest = max(points, key=lambda point: abs(point.effect))
        raise ConfigError(
            f"No policy can be fitted: the effects are too large for the arithmetic. The largest is {largest.effect:g}, of a "
            f"{largest.action} under the seed {largest.seed}. Measure it again, or remove it from `effects.json`."
        )
    details = {"method": method, **({"discount": discount} if method == "q" else {})}
    policy = LinearPolicy(mean, scale, weights, covariance, {**card, **details})
    return Fitted(policy, models, none)


def _limited(points: Sequence[Point]) -> Float[np.ndarray, " n"]:
    """The effects, with those of each action limited to their 5% and 95% quantiles."""
    effects = np.array([point.effect for point in points])
    for name in ACTIONS:
        own = np.array([point.action == name for point in points])
        if own.any():
            effects[own] = effects[own].clip(*np.quantile(effects[own], (0.05, 0.95)))
    return effects


class _Table:
    """The points as arrays, and how they follow each other within a run."""

    def __init__(self, points: Sequence[Point], mean: Float[np.ndarray, " f"], scale: Float[np.ndarray, " f"]) -> None:
        self.points = points
        standard = (np.array([point.features for point in points]) - mean) / scale
        self.x = np.column_stack([standard, np.ones(len(points))])
        self.width = self.x.shape[1]
        self.seeds = np.array([point.seed for point in points])
        self.next = np.full(len(points), -1)
        self.steps_to_next = np.zeros(len(points))
        order = sorted(range(len(points)), key=lambda index: (points[index].episode, points[index].place))
        for here, then in pairwise(order):
            if points[here].episode == points[then].episode:
                self.next[here] = then
                self.steps_to_next[here] = points[then].place - points[here].place

    def model(self, action: str | None, values: Float[np.ndarray, " n"]) -> Model:
        """A regression of `values` over the points with this action."""
        own = np.array([point.action == action for point in self.points])
        return ridge(self.x[own], values[own], self.seeds[own])

    def values_of_next(self, models: dict[str, Model], none: Model | None) -> Float[np.ndarray, " n"]:
        """The lowest predicted value at the point after each, over what could be done there (also nothing); 0 at the end.

        An action whose model predicts nothing is left out.
        """
        nothing = np.zeros(len(self.points)) if none is None else self.x @ none.weights
        lowest = nothing.copy()
        for name, model in models.items():
            if not model.known:
                continue
            able = np.array([name in point.possible for point in self.points])
            lowest = np.where(able, np.minimum(lowest, self.x @ model.weights), lowest)
        return np.where(self.next >= 0, lowest[self.next], 0.0)


def ridge(x: Float[np.ndarray, "n f1"], y: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"]) -> Model:
    """A ridge regression whose penalty (not on the intercept) has the lowest error on left-out groups.

    The covariance is the posterior one, σ² (XᵀX + penalty)⁻¹, with the mean squared error on left-out groups as σ². Without
    values, or with values of one group only, all coefficients are 0.
    """
    width = x.shape[1]
    if len(set(groups.tolist())) < 2:
        return Model(np.zeros(width), np.zeros((width, width)), math.inf, math.nan)
    errors = [_left_out_error(x, y, groups, penalty) for penalty in PENALTIES]
    best = int(np.argmin(errors))
    inverse = np.linalg.inv(_gram(x, PENALTIES[best]))
    return Model(inverse @ x.T @ y, errors[best] * inverse, PENALTIES[best], math.sqrt(errors[best]))


def _gram(x: Float[np.ndarray, "n f1"], penalty: float) -> Float[np.ndarray, "f1 f1"]:
    penalties = np.full(x.shape[1], penalty)
    penalties[-1] = 1e-6
    gram: Float[np.ndarray, "f1 f1"] = x.T @ x + np.diag(penalties)
    return gram


def _left_out_error(
    x: Float[np.ndarray, "n f1"], y: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"], penalty: float
) -> float:
    total = 0.0
    for group in np.unique(groups):
        out = groups == group
        weights = np.linalg.solve(_gram(x[~out], penalty), x[~out].T @ y[~out])
        total += float(((y[out] - x[out] @ weights) ** 2).sum())
    return total / len(y)
