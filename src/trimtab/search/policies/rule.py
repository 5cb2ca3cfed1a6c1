"""A policy function approximation: a rule with four numbers."""

import math

import numpy as np

from trimtab.search.optimizer import Optimizer
from trimtab.search.policies.policy import Decision, Pause, Policy, Seeds, State, further
from trimtab.search.policies.trained import File, number, trained

_PROMOTED = 3
"""One in so many paused runs goes on."""


class RulePolicy(Policy):
    """PFA: first random settings, then steps from the best, after the best was run with several seeds.

    Its parameters are the number of random settings (`random`), the number of seeds of the best before it is moved from (`runs`),
    and the first and the last standard deviation of a step (`first`, `last`), between which it falls geometrically. Where runs
    pause, those among the best third at the pause go on.
    """

    name = "pfa"

    def __init__(
        self, optimizer: Optimizer, *, steps: int, pause: Pause = None, seeds: Seeds = 2, file: File = None
    ) -> None:
        super().__init__(optimizer, steps=steps, pause=pause, seeds=seeds)
        parameters = trained(self.name, file).parameters
        self.random, self.runs = (int(number(parameters, key)) for key in ("random", "runs"))
        self.first, self.last = (number(parameters, key) for key in ("first", "last"))
        if self.random < 1 or self.runs < 1 or not 0 < self.last <= self.first < 1:
            raise ValueError("file: random and runs must be at least 1, and 0 < last ≤ first < 1 must hold")

    def _decide(self, state: State, random: np.random.Generator) -> Decision:
        beliefs = state.beliefs
        if "promote" in state.possible:
            place = min(state.promotable, key=lambda one: _paused(state, one))
            values = sorted(one.paused for one in beliefs.known if one.paused is not None)
            if state.possible == {"promote"} or _paused(state, place) <= values[(len(values) - 1) // _PROMOTED]:
                return further(state, place, "promote")
        if state.number >= self.random:
            if "replicate" in state.possible and self._again(state):
                assert beliefs.best is not None
                return further(state, beliefs.best, "replicate")
            if "near" in state.possible:
                width = self.first * math.pow(self.last / self.first, 1.0 - state.left)
                points = state.neighbours(20, random, [width])
                if (first := self.fresh(points)) is not None:
                    return Decision("near", f"near trial {beliefs.known[beliefs.leading].trial}", points[first])
        if "explore" in state.possible:
            return Decision("explore", "anywhere", random.random(len(beliefs.space)))
        return further(state, state.replicable[0], "replicate")

    def _again(self, state: State) -> bool:
        """Whether the best is to be run with another seed."""
        best = state.beliefs.best
        return best is not None and best in state.replicable and state.beliefs.known[best].given < self.runs


def _paused(state: State, place: int) -> float:
    value = state.beliefs.known[place].paused
    assert value is not None
    return value
