"""A value function approximation: the kind of decision with the highest learned value."""

from collections.abc import Mapping

import numpy as np

from trimtab.search.optimizer import Optimizer
from trimtab.search.policies.policy import KINDS, WORDS, Decision, Kind, Pause, Policy, Seeds, State, further
from trimtab.search.policies.trained import File, number, trained

FEATURES = (
    "one",
    "left",
    "doubt about the best, in noise",
    "gap to the second, in noise",
    "what a new setting may gain, in noise",
    "what a neighbour may gain, in noise",
    "what a paused run may gain, in noise",
    "seeds of the best",
    "left × doubt about the best",
    "left × what a new setting may gain",
    "left × what a neighbour may gain",
)
_ANYWHERE, _NEAR, _MOST = 100, 40, 4.0


class ValuePolicy(Policy):
    """VFA: a linear value of each kind of decision, learned by fitted Q iteration on simulated searches.

    The value of a kind is the sum of `FEATURES` times its weights. A new setting is the one with the lowest mean − 2 standard
    deviations among random ones, a neighbour the one with the lowest mean − ½ standard deviation, and a further run is that of
    the setting with the lowest mean. Its parameters are the weights of each kind.
    """

    name = "vfa"

    def __init__(
        self, optimizer: Optimizer, *, steps: int, pause: Pause = None, seeds: Seeds = 2, file: File = None
    ) -> None:
        super().__init__(optimizer, steps=steps, pause=pause, seeds=seeds)
        made = trained(self.name, file)
        if pause is not None and made.training.get("pause") is None:
            raise ValueError(
                "pause: these weights of vfa were trained on runs that do not pause, so they have none for the rest of a run. "
                "Train others with `trimtab search train vfa --pause STEP`, and name them with `file`"
            )
        self.weights = weights_of(made.parameters)

    def _decide(self, state: State, random: np.random.Generator) -> Decision:
        options = targets(self, state, random)
        features = features_of(state, options, self.seeds)
        kind = max(options, key=lambda one: float(features @ self.weights[one]))
        return options[kind][0]


def weights_of(parameters: Mapping[str, object]) -> dict[Kind, np.ndarray]:
    """The weights of each kind of decision. Raises `ValueError` where they are not all there."""
    weights: dict[Kind, np.ndarray] = {}
    for kind in KINDS:
        given = parameters.get(kind)
        if not isinstance(given, list) or len(given) != len(FEATURES):
            raise ValueError(f"file: its parameters must have {len(FEATURES)} weights for the kind '{kind}'")
        weights[kind] = np.array([number({kind: one}, kind) for one in given])
    return weights


def targets(policy: Policy, state: State, random: np.random.Generator) -> dict[Kind, tuple[Decision, float]]:
    """For each kind that is possible the best decision of this kind, and the mean − sd of the belief about it."""
    options: dict[Kind, tuple[Decision, float]] = {}
    for kind, places in (("replicate", state.replicable), ("promote", state.promotable)):
        if kind in state.possible:
            place = min(places, key=lambda one: float(state.beliefs.own.mean[one]))
            low = float(state.beliefs.own.mean[place] - state.beliefs.own.sd[place])
            options[kind] = further(state, place, kind), low
    for kind, points, theta in (
        ("explore", state.anywhere(_ANYWHERE, random), 2.0),
        ("near", state.neighbours(_NEAR, random), 0.5),
    ):
        if kind not in state.possible:
            continue
        belief = state.beliefs.posterior.at(points)
        order = np.argsort(belief.mean - theta * belief.sd, kind="stable")
        if (first := policy.fresh(points[order])) is not None:
            chosen = order[first]
            low = float(belief.mean[chosen] - belief.sd[chosen])
            options[kind] = Decision(kind, WORDS[kind], points[chosen]), low
    if not options:  # nothing but settings that were tried already
        low = float(state.beliefs.own.mean.min())
        options["explore"] = Decision("explore", WORDS["explore"], random.random(len(state.beliefs.space))), low
    return options


def features_of(state: State, options: Mapping[Kind, tuple[Decision, float]], seeds: int) -> np.ndarray:
    """The features of a state, in the order of `FEATURES`."""
    place = state.beliefs.leading if state.beliefs.best is None else state.beliefs.best
    noise = max(state.beliefs.posterior.noise, 1e-12)
    best = float(state.beliefs.own.mean[place])
    others = [
        float(mean) for at, mean in enumerate(state.beliefs.own.mean) if at != place and state.beliefs.known[at].values
    ]

    def scaled(value: float) -> float:
        return min(max(value / noise, -_MOST), _MOST) / _MOST

    doubt = scaled(float(state.beliefs.own.sd[place]))
    gains = {kind: scaled(best - option[1]) for kind, option in options.items()}
    new, near = gains.get("explore", 0.0), gains.get("near", 0.0)
    return np.array(
        [
            1.0,
            state.left,
            doubt,
            scaled(min(others) - best) if others else 0.0,
            new,
            near,
            gains.get("promote", 0.0),
            len(state.beliefs.known[place].values) / seeds,
            state.left * doubt,
            state.left * new,
            state.left * near,
        ]
    )
