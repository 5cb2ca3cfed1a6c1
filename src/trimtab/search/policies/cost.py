"""A cost function approximation: the candidate with the lowest optimistic estimate."""

import numpy as np

from trimtab.search.optimizer import Optimizer
from trimtab.search.policies.policy import WORDS, Decision, Pause, Policy, Seeds, State, further
from trimtab.search.policies.trained import File, number, trained

_ANYWHERE, _NEAR = 200, 60


class CostPolicy(Policy):
    """CFA: runs what has the lowest mean − θ · standard deviation of the belief.

    Candidates are new settings anywhere and near the best, settings that may be run with another seed, and paused runs. Its
    parameter is `theta`.
    """

    name = "cfa"

    def __init__(
        self, optimizer: Optimizer, *, steps: int, pause: Pause = None, seeds: Seeds = 2, file: File = None
    ) -> None:
        super().__init__(optimizer, steps=steps, pause=pause, seeds=seeds)
        self.theta = number(trained(self.name, file).parameters, "theta")
        if self.theta < 0:
            raise ValueError(f"file: theta must not be below 0, but it is {self.theta:g}")

    def _decide(self, state: State, random: np.random.Generator) -> Decision:
        choices: list[tuple[float, Decision]] = []
        for kind, places in (("replicate", state.replicable), ("promote", state.promotable)):
            if kind in state.possible:
                choices += [(self._score(state, place), further(state, place, kind)) for place in places]
        for kind, points in (
            ("explore", state.anywhere(_ANYWHERE, random)),
            ("near", state.neighbours(_NEAR, random)),
        ):
            if kind in state.possible:
                belief = state.beliefs.posterior.at(points)
                scores = belief.mean - self.theta * belief.sd
                order = np.argsort(scores, kind="stable")
                if (place := self.fresh(points[order])) is not None:
                    chosen = order[place]
                    choices.append((float(scores[chosen]), Decision(kind, WORDS[kind], points[chosen])))
        if not choices:  # nothing but settings that were tried already
            return Decision("explore", "anywhere", random.random(len(state.beliefs.space)))
        return min(choices, key=lambda one: one[0])[1]

    def _score(self, state: State, place: int) -> float:
        return float(state.beliefs.own.mean[place] - self.theta * state.beliefs.own.sd[place])
