"""Training of policies on searches that are simulated on a table of recorded runs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trimtab.errors import ConfigError
from trimtab.random import derive_seed
from trimtab.search.policies.cost import CostPolicy
from trimtab.search.policies.policy import KINDS, Decision, Kind, Policy, State
from trimtab.search.policies.rule import RulePolicy
from trimtab.search.policies.trained import Trained
from trimtab.search.policies.value import FEATURES, ValuePolicy, features_of, targets
from trimtab.search.replay import Recordings, replay
from trimtab.search.simple import RandomSearch
from trimtab.search.table import Table

_THETAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_RULES = 40
"""Rules that are tried."""
_ROUNDS = 4
"""Times that the values are fitted; before each, further searches are simulated with the values of the last fit."""
_EXPLORING = (1.0, 0.5, 0.3, 0.2)
"""The share of random decisions in the searches of each round."""
_RIDGE = 1.0
_ITERATIONS = 100

OnProgress = Callable[[int, int], None]


class Simulator:
    """Simulates searches with a budget of `trials` whole runs on a table, each with a seed of its own."""

    def __init__(self, recordings: Recordings, trials: int, seeds: int, pause: int | None, seed: int) -> None:
        self.recordings, self.trials, self.seeds, self.pause, self.seed = recordings, trials, seeds, pause, seed
        self.searches = 0
        self.steps = 0.0

    def policy(self, make: Callable[..., Policy], number: int, **parameters: Any) -> tuple[Policy, np.ndarray]:
        """A policy for the search `number`, and the order of the table's seeds in it."""
        seed = derive_seed(self.seed, "search", "training", number)
        optimizer = RandomSearch(self.recordings.space, budget=self.trials, seed=seed)
        order = np.random.Generator(np.random.PCG64(derive_seed(seed, "search", "table"))).permutation(
            self.recordings.table.seeds
        )
        return make(
            optimizer, steps=self.recordings.table.steps[-1], pause=self.pause, seeds=self.seeds, **parameters
        ), order

    def mean(self, make: Callable[..., Policy], searches: int, change: Mapping[str, float]) -> float:
        """The mean true value of what searches with changed parameters find."""
        truths = []
        for number in range(searches):
            policy, order = self.policy(make, number)
            for key, value in change.items():
                setattr(policy, key, value)
            result = replay(policy, self.recordings, order)
            self.searches += 1
            self.steps += result.steps
            truths.append(result.truth)
        return float(np.mean(truths))


def random_rules(simulator: Simulator) -> list[dict[str, Any]]:
    """The rules that are tried."""
    rules = []
    for number in range(_RULES):
        random = np.random.Generator(np.random.PCG64(derive_seed(simulator.seed, "search", "rule", number)))
        first = float(np.exp(random.uniform(np.log(0.05), np.log(0.4))))
        last = first * float(np.exp(random.uniform(np.log(0.1), 0.0)))
        rules.append(
            {
                "random": int(random.integers(2, max(2, simulator.trials * 2 // 3) + 1)),
                "runs": int(random.integers(1, simulator.seeds + 1)),
                "first": round(first, 4),
                "last": round(last, 4),
            }
        )
    return rules


def train_rule(simulator: Simulator, searches: int, progress: OnProgress) -> dict[str, Any]:
    """The best of some random rules. All are tried in half of the searches, and the best four in all."""
    rules = random_rules(simulator)
    scores = []
    for number, rule in enumerate(rules):
        scores.append(simulator.mean(RulePolicy, max(1, searches // 2), rule))
        progress(number + 1, _RULES + 4)
    ranked = sorted(range(_RULES), key=lambda place: scores[place])[:4]
    final = []
    for number, place in enumerate(ranked):
        final.append(simulator.mean(RulePolicy, searches, rules[place]))
        progress(_RULES + number + 1, _RULES + 4)
    return rules[ranked[int(np.argmin(final))]]


def train_cost(simulator: Simulator, searches: int, progress: OnProgress) -> dict[str, Any]:
    """The best θ."""
    scores = []
    for number, theta in enumerate(_THETAS):
        scores.append(simulator.mean(CostPolicy, searches, {"theta": theta}))
        progress(number + 1, len(_THETAS))
    return {"theta": _THETAS[int(np.argmin(scores))]}


class _Exploring(ValuePolicy):
    """Makes a share of its decisions at random, and remembers features and kinds of all."""

    weights: dict[Kind, np.ndarray]
    share: float
    seen: list[tuple[np.ndarray, list[Kind], Kind, float]]
    really: np.ndarray
    """How good each recorded setting is on the seeds that the search does not use."""
    recordings: Recordings

    def _decide(self, state: State, random: np.random.Generator) -> Decision:
        options = targets(self, state, random)
        features = features_of(state, options, self.seeds)
        kinds = sorted(options)
        if random.random() < self.share:
            kind = kinds[int(random.integers(len(kinds)))]
        else:
            kind = max(kinds, key=lambda one: float(features @ self.weights[one]))
        self.seen.append((features, kinds, kind, self.truth()))
        return options[kind][0]

    def truth(self) -> float:
        """How good the best so far really is; the median setting before there is one."""
        best = self.best
        if best is None:
            return float(np.median(self.really))
        return float(self.really[self.recordings.space.row(best.settings)])


def train_value(simulator: Simulator, searches: int, progress: OnProgress) -> dict[str, Any]:
    """Weights by fitted Q iteration. The reward of a decision is by how much the best really improves until the next one."""
    recordings = simulator.recordings
    values = recordings.values[:, :, -1].mean(axis=1)
    unit = float(np.std(np.minimum(values, np.median(values)))) or 1.0
    weights = {kind: np.zeros(len(FEATURES)) for kind in KINDS}
    passages: list[tuple[np.ndarray, Kind, float, np.ndarray | None, list[Kind]]] = []
    done = 0
    for share in _EXPLORING:
        for _ in range(searches):
            policy, order = simulator.policy(_Exploring, done)
            assert isinstance(policy, _Exploring)
            policy.weights, policy.share, policy.seen, policy.recordings = weights, share, [], recordings
            policy.really = recordings.truth(order, policy.seeds)
            result = replay(policy, recordings, order)
            simulator.searches += 1
            simulator.steps += result.steps
            ends = [*policy.seen[1:], None]
            for (features, _, kind, before), after in zip(policy.seen, ends, strict=True):
                reward = (before - (result.truth if after is None else after[3])) / unit
                passages.append(
                    (features, kind, reward, None if after is None else after[0], [] if after is None else after[1])
                )
            done += 1
            progress(done, searches * _ROUNDS)
        weights = fitted_values(passages)
    return {kind: [float(f"{weight:.6g}") for weight in weights[kind]] for kind in KINDS}


def fitted_values(
    passages: list[tuple[np.ndarray, Kind, float, np.ndarray | None, list[Kind]]],
) -> dict[Kind, np.ndarray]:
    """The weights at which fitted Q iteration ends, from passages of features, kind, reward, next features and next kinds."""
    size = len(passages[0][0])
    weights = {kind: np.zeros(size) for kind in KINDS}
    features = np.stack([one[0] for one in passages])
    rewards = np.array([one[2] for one in passages])
    following = np.stack([np.zeros(size) if one[3] is None else one[3] for one in passages])
    allowed = np.array([[kind in one[4] for kind in KINDS] for one in passages])
    of = {kind: np.array([one[1] == kind for one in passages]) for kind in KINDS}
    solved = {
        kind: np.linalg.solve(features[rows].T @ features[rows] + _RIDGE * np.eye(size), features[rows].T)
        for kind, rows in of.items()
        if rows.any()
    }
    for _ in range(_ITERATIONS):
        values = np.stack([following @ weights[kind] for kind in KINDS], axis=1)
        ahead = np.where(allowed, values, -np.inf).max(axis=1)
        target = rewards + np.where(np.isfinite(ahead), ahead, 0.0)
        weights = {kind: solved[kind] @ target[of[kind]] if kind in solved else weights[kind] for kind in KINDS}
    return weights


TRAINERS: dict[str, Callable[[Simulator, int, OnProgress], dict[str, Any]]] = {
    "pfa": train_rule,
    "cfa": train_cost,
    "vfa": train_value,
}


def trained_on(
    policy: str,
    table: Table,
    sha256: str,
    *,
    trials: int,
    searches: int,
    seeds: int,
    pause: int | None,
    seed: int,
    progress: OnProgress,
) -> Trained:
    """The parameters of a policy, trained on searches that are simulated on a table. Raises `ConfigError`."""
    if seeds >= table.seeds:
        raise ConfigError(
            f"The table has {table.seeds} seeds of each setting, and --seeds {seeds} must be less: the others show how good a "
            "setting really is."
        )
    if pause is not None and pause not in table.steps[:-1]:
        steps = ", ".join(map(str, table.steps[:-1])) or "none"
        raise ConfigError(
            f"The table has values before the end of a run at the steps {steps}, but not at --pause {pause}."
        )
    simulator = Simulator(Recordings(table), trials, seeds, pause, seed)
    parameters = TRAINERS[policy](simulator, searches, progress)
    training = {
        "table_sha256": sha256,
        "trials": trials,
        "searches": simulator.searches,
        "seeds": seeds,
        "pause": pause,
        "seed": seed,
        "recorded_steps": len(table.rows) * table.seeds * table.steps[-1],
    }
    return Trained(policy=policy, parameters=parameters, training=training)
