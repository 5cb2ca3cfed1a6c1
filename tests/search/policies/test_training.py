"""Training of policies on tables."""

import numpy as np
import pytest

from tests.search.tables import made_up
from trimtab.errors import ConfigError
from trimtab.search import RandomSearch
from trimtab.search.policies.cost import CostPolicy
from trimtab.search.policies.policy import KINDS
from trimtab.search.policies.rule import RulePolicy
from trimtab.search.policies.trained import Trained, trained
from trimtab.search.policies.training import Simulator, fitted_values, random_rules, train_cost, train_rule, trained_on
from trimtab.search.policies.value import ValuePolicy
from trimtab.search.replay import Recordings


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def test_fitted_values_are_those_of_a_chain_that_is_known() -> None:
    """From the first state, `near` gives 1 and leads to a second one, where `explore` gives 2; `explore` gives 1.5 and ends."""
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    passages = [
        (first, "near", 1.0, second, ["explore", "near"]),
        (first, "explore", 1.5, None, []),
        (second, "explore", 2.0, None, []),
        (second, "near", 0.5, None, []),
    ] * 2000
    weights = fitted_values(passages)  # type: ignore[arg-type]
    np.testing.assert_allclose(weights["near"], [3.0, 0.5], atol=5e-3)
    np.testing.assert_allclose(weights["explore"], [1.5, 2.0], atol=5e-3)
    np.testing.assert_allclose(weights["promote"], [0.0, 0.0])


@pytest.mark.parametrize("policy", ["pfa", "cfa", "vfa"])
def test_training_is_repeatable_and_says_on_what_it_was_done(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.search.policies.training._RULES", 5)
    table = made_up(60)
    options = {"trials": 5, "searches": 2, "seeds": 2, "pause": None, "seed": 1, "progress": quiet}
    made, again = (trained_on(policy, table, "f" * 64, **options) for _ in range(2))  # type: ignore[arg-type]
    assert made == again
    assert made.training["table_sha256"] == "f" * 64
    assert made.training["recorded_steps"] == 60 * 4 * 90
    assert made.training["searches"] > 0
    other = trained_on(policy, table, "f" * 64, **{**options, "seed": 2})  # type: ignore[arg-type]
    if policy != "cfa":
        assert other.parameters != made.parameters


def test_the_trained_rule_and_the_trained_estimate_are_the_best_of_those_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.search.policies.training._RULES", 4)
    recordings = Recordings(made_up())

    def simulator() -> Simulator:
        return Simulator(recordings, 8, 2, None, 0)

    rules = [simulator().mean(RulePolicy, 2, rule) for rule in random_rules(simulator())]
    assert len(set(rules)) > 1
    assert train_rule(simulator(), 2, quiet) == random_rules(simulator())[int(np.argmin(rules))]
    theta = train_cost(simulator(), 1, quiet)["theta"]
    best = simulator().mean(CostPolicy, 1, {"theta": theta})
    assert all(best <= simulator().mean(CostPolicy, 1, {"theta": other}) for other in (0.0, 1.0, 4.0))


def test_what_a_table_does_not_have_is_refused() -> None:
    options = {"trials": 5, "searches": 1, "seed": 0, "progress": quiet}
    with pytest.raises(ConfigError, match="The table has 4 seeds of each setting, and --seeds 4 must be less"):
        trained_on("cfa", made_up(3), "", seeds=4, pause=None, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at the steps 10, 30, but not at --pause 20"):
        trained_on("cfa", made_up(3), "", seeds=2, pause=20, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["pfa", "cfa", "vfa"])
def test_the_parameters_that_ship_say_on_what_they_were_trained(policy: str) -> None:
    made = trained(policy, None)
    assert made.training["searches"] > 0 and len(made.training["table_sha256"]) == 64


def test_a_policy_uses_the_weights_in_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    def weights(favoured: str) -> Trained:
        given = {kind: [5.0 if kind == favoured else 0.0, *[0.0] * 10] for kind in KINDS}
        return Trained(policy="vfa", parameters=given, training={})

    works = {}
    for kind in ("explore", "replicate"):
        weights(kind).write(tmp_path / "p.json")
        recordings = Recordings(made_up(60))
        policy = ValuePolicy(
            RandomSearch(recordings.space, budget=6), steps=90, pause=None, seeds=3, file=str(tmp_path / "p.json")
        )
        done = []
        while (work := policy.next()) is not None:
            done.append(work.seed)
            policy.tell(work, recordings.value(work, np.arange(4)))
        works[kind] = done
    assert works["explore"] == [0] * 6
    assert works["replicate"] == [0, 1, 2, 0, 1, 2]
