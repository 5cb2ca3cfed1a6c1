"""Which domain each sample comes from."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import ConfigError
from trimtab.metacognition.data.domains import ROUND, Domain, MixedTask, Rounds, apportioned
from trimtab.metacognition.data.routes import Routes


def test_every_round_has_the_shares_and_another_order() -> None:
    rounds = Rounds(["a", "b", "c"], [1, 2.5, 0.5])
    assert rounds.shares == {"a": 0.25, "b": 0.625, "c": 0.125}
    each = [[rounds.place(3, ROUND * number + slot)[0] for slot in range(ROUND)] for number in range(3)]
    assert all(Counter(domains) == {0: 250, 1: 625, 2: 125} for domains in each)
    assert each[0] != each[1] != each[2]
    assert [rounds.place(4, slot)[0] for slot in range(ROUND)] != each[0]


def test_the_places_of_a_domain_follow_each_other_without_a_gap() -> None:
    rounds = Rounds(["a", "b"], [1, 3])
    places = [rounds.place(0, position) for position in range(2500)]
    for domain in (0, 1):
        own = [place for number, place in places if number == domain]
        assert own == list(range(len(own)))
    assert [Rounds(["a", "b"], [1, 3]).place(0, position) for position in (2499, 0, 1001)] == [
        places[position] for position in (2499, 0, 1001)
    ]


def test_a_single_domain_has_all_places() -> None:
    assert [Rounds(["a"], [2]).place(0, position) for position in (0, 5)] == [(0, 0), (0, 5)]


def test_a_weight_without_a_sample_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.mix: the weight of b is less than a thousandth"):
        Rounds(["a", "b"], [1, 1e-6])


@given(st.integers(0, 5000), st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6))
def test_parts_add_up_and_are_less_than_one_from_their_shares(total: int, weights: list[float]) -> None:
    parts = apportioned(total, weights)
    assert sum(parts) == total
    assert all(abs(part - total * weight / sum(weights)) < 1 for part, weight in zip(parts, weights, strict=True))


def test_a_problem_is_scored_by_the_task_of_its_domain() -> None:
    mixed = MixedTask([Routes(), Routes(hops=(1,))], [1, 1])
    assert mixed.names == ["routes 1", "routes 2"]
    problems = mixed.split("validation", 10, 0)
    assert Counter(problem.domain for problem in problems) == {"routes 1": 5, "routes 2": 5}  # type: ignore[attr-defined]
    assert all(mixed.score(problem, problem.truth) == {"exact_match": 1.0} for problem in problems)
    assert mixed.final_answer(problems[0], " A ") == "a"


def test_the_task_of_a_domain_gets_its_defaults_and_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    domain = Domain.model_validate({"task": {"name": "traces", "path": "a.jsonl"}, "weight": 2})
    spec = domain.task.spec
    assert spec["path"] == str(tmp_path / "a.jsonl") and spec["buffer"] == 2048 and spec["validation_path"] is None
    assert Domain.model_validate(domain.model_dump(mode="json")) == domain


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"name": "nonsense"}, "there is no task 'nonsense'"),
        ({"name": "routes", "hop": [1]}, "hop"),
        ({"name": "package.module:Task"}, "Only tasks with plain names can be mixed in"),
    ],
)
def test_a_task_that_cannot_be_mixed_in_is_refused_with_its_config(task: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Domain.model_validate({"task": task})
