"""A direct look ahead: what each candidate's value would teach, by what it costs."""

from statistics import NormalDist

import numpy as np

from trimtab.search.optimizer import Optimizer
from trimtab.search.policies.policy import WORDS, Decision, Pause, Policy, Seeds, State, further

_ANYWHERE, _NEAR = 40, 20
_QUANTILES = np.array([NormalDist().inv_cdf((n + 0.5) / 15) for n in range(15)])
_ROLLED = _QUANTILES / _QUANTILES.std()
"""Standardised values that are rolled out."""


class LookaheadPolicy(Policy):
    """DLA: the knowledge gradient (Frazier et al. 2009) per step, by roll-outs of one decision.

    For each candidate the values that its run may have are rolled out (15 quantiles of the belief). After each, the belief about
    all candidates is updated, and its lowest mean is noted. The candidate is chosen whose roll-outs lower it most on average, per
    step of training.
    """

    name = "dla"

    def __init__(self, optimizer: Optimizer, *, steps: int, pause: Pause = None, seeds: Seeds = 2) -> None:
        super().__init__(optimizer, steps=steps, pause=pause, seeds=seeds)

    def _decide(self, state: State, random: np.random.Generator) -> Decision:
        decisions: list[Decision] = []
        points: list[np.ndarray] = []
        for kind, places in (("replicate", state.replicable), ("promote", state.promotable)):
            if kind in state.possible:
                decisions += [further(state, place, kind) for place in places]
                points += [state.beliefs.known[place].point for place in places]
        for kind, drawn in (("explore", state.anywhere(_ANYWHERE, random)), ("near", state.neighbours(_NEAR, random))):
            if kind in state.possible:
                decisions += [Decision(kind, WORDS[kind], point) for point in drawn]
                points += list(drawn)
        known = np.stack([one.point for one in state.beliefs.known])
        pool = np.concatenate([known, *(point[None] for point in points)])
        doubt = state.beliefs.change[1]
        added = [doubt if self.pause is not None and one.tried is None else 0.0 for one in decisions]
        gains = gain(state, np.stack(points), pool, np.array(added)) / np.array(
            [self.cost(one.kind) for one in decisions]
        )
        for place in np.argsort(-gains, kind="stable"):
            chosen = decisions[int(place)]
            if chosen.point is None or self.fresh(chosen.point[None]) is not None:
                return chosen
        return Decision("explore", "anywhere", random.random(len(state.beliefs.space)))


def gain(state: State, candidates: np.ndarray, pool: np.ndarray, added: np.ndarray) -> np.ndarray:
    """By how much the lowest mean over the pool is expected to fall when each candidate's value is known.

    `added` is the variance of each value beyond that of a whole run, as of a value at a pause.
    """
    mean = state.beliefs.posterior.at(pool).mean
    sd = np.sqrt(state.beliefs.posterior.at(candidates).sd ** 2 + state.beliefs.posterior.noise**2 + added)
    slopes = state.beliefs.posterior.covariance(pool, candidates) / sd
    rolled = mean[:, None, None] + slopes[:, :, None] * _ROLLED
    result: np.ndarray = mean.min() - rolled.min(axis=0).mean(axis=1)
    return result
