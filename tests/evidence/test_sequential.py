import json

import numpy as np
import pytest

from trimtab.errors import ConfigError, DataError
from trimtab.evidence import Claim, Sequential

CLAIM = Claim("val_loss", higher_is_better=False, margin=0.02)


def run(differences, claim=CLAIM, budget=20):
    comparison = Sequential(claim, budget)
    for difference in differences:
        decision = comparison.feed(difference)
        if decision.conclusion != "continue":
            return decision
    return comparison.result()


def test_under_six_pairs_there_is_no_conclusion():
    decision = run([-1.0, -1.03, -0.96, -1.02, -0.98, -1.05, -1.0])
    assert (decision.n, decision.conclusion) == (6, "superior")
    assert decision.e_value >= 20 and decision.high < 0
    assert run([0.0] * 20).n == 6


def test_the_four_conclusions():
    generator = np.random.default_rng(2)
    assert run(generator.normal(0.5, 0.1, 20)).conclusion == "inferior"
    assert run(generator.normal(0, 0.005, 20)).conclusion == "equivalent"
    small = run(generator.normal(-0.005, 0.0004, 20))
    assert small.conclusion == "equivalent" and small.e_value > 20
    spent = run(generator.normal(0, 0.5, 20))
    assert (spent.n, spent.conclusion) == (20, "inconclusive") and "20 pairs are spent" in spent.reason


def test_a_comparison_with_a_heavy_tail_continues():
    d = [-0.5, -0.52, -0.55, -0.48, -0.51, -0.9, -0.53, -0.5]
    assert "heavy" in run(d).reason
    assert run(d).conclusion == "continue"
    assert run(d, Claim("val_loss", False, 0.02, scale="log")).conclusion == "superior"


def test_a_concluded_comparison_takes_no_further_pair():
    comparison = Sequential(CLAIM, 20)
    for _ in range(6):
        comparison.feed(0.0)
    with pytest.raises(DataError, match="ended after 6 pairs"):
        comparison.feed(1.0)


def test_a_saved_comparison_continues():
    d = np.random.default_rng(3).normal(-0.3, 0.3, 12).tolist()
    whole, first = Sequential(CLAIM, 30), Sequential(CLAIM, 30)
    expected = [whole.feed(x) for x in d]
    for x in d[:4]:
        first.feed(x)
    second = Sequential(CLAIM, 30)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [second.feed(x) for x in d[4:]] == expected[4:]
    empty = Sequential(CLAIM, 30)
    empty.load_state_dict(Sequential(CLAIM, 30).state_dict())
    assert empty.result().conclusion == "continue"


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (Sequential(CLAIM, 40), "budget"),
        (Sequential(Claim("val_loss", False, 0.03), 30), "claim"),
        (Sequential(Claim("val_loss", False, 0.02, alpha=0.01), 30), "alpha"),
    ],
)
def test_a_saved_comparison_of_another_plan_is_refused(other, key):
    with pytest.raises(ConfigError, match=f"another {key}"):
        Sequential(CLAIM, 30).load_state_dict(other.state_dict())


def test_a_budget_under_six_and_a_trimmed_claim_are_refused():
    with pytest.raises(ConfigError, match="budget of 5"):
        Sequential(CLAIM, 5)
    with pytest.raises(ConfigError, match="trimmed"):
        Sequential(Claim("m", True, 1.0, scale="trimmed"), 10)
    with pytest.raises(DataError, match="finite"):
        Sequential(CLAIM, 10).feed(float("nan"))


def test_testing_after_each_of_twenty_pairs_keeps_the_level():
    rows = np.random.default_rng(4).normal(size=(500, 20))
    decided = [run(row, Claim("m", True, 1e-9)).conclusion for row in rows]
    rate = np.mean([decision in ("superior", "inferior") for decision in decided])
    assert rate <= 0.05  # in truth about .025; standard error .007
