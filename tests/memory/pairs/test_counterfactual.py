import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.shared import shared_file
from tests.memory.pairs.files import source
from trimtab.config import DataError
from trimtab.memory.pairs import Pair, counterfactuals, squad_normalise
from trimtab.memory.pairs.reading import plain_pair


def pairs(*answers: tuple[str, ...]) -> list[Pair]:
    return [plain_pair(f"q{index}?", texts, {"n": index}, f"p{index}") for index, texts in enumerate(answers)]


def check_assignment(given_pairs: list[Pair], changed: tuple[Pair, ...]) -> None:
    assert [pair.question for pair in changed] == [pair.question for pair in given_pairs]
    assert sorted(pair.answer for pair in changed) == sorted(pair.answer for pair in given_pairs)
    by_id = {pair.id: pair for pair in given_pairs}
    for before, after in zip(given_pairs, changed, strict=True):
        assert after.id == f"{before.id}.counterfactual"
        assert after.metadata["counterfactual_of"] == before.id != after.metadata["answer_of"]
        assert by_id[after.metadata["answer_of"]].answer == after.answer
        assert after.answers == (after.answer,)
        assert squad_normalise(after.answer) not in map(squad_normalise, before.answers)


def test_the_assignment_depends_on_the_seed() -> None:
    made = pairs(*((f"answer {index}",) for index in range(20)))
    check_assignment(made, counterfactuals(made, 0))
    assert counterfactuals(made, 0) == counterfactuals(made, 0) != counterfactuals(made, 1)


def test_a_pair_never_gets_one_of_its_accepted_answers() -> None:
    made = pairs(("Paris",), ("the Paris!", "Lyon"), ("lyon",), ("Nice",))
    for seed in range(20):
        check_assignment(made, counterfactuals(made, seed))


def test_the_only_possible_assignment_is_found() -> None:
    # Half of the answers are the same: each of them must be exchanged with one of the others.
    made = pairs(*([("x",)] * 50 + [(f"y{index}",) for index in range(50)]))
    random.Random(0).shuffle(made)
    for seed in range(5):
        check_assignment(made, counterfactuals(made, seed))


@pytest.mark.parametrize("answers", [[("x",)], [("x",), ("X.",)], [("x",), ("x",), ("y",)]])
def test_too_many_equal_answers_are_refused(answers: list[tuple[str, ...]]) -> None:
    with pytest.raises(DataError, match="These .* pairs cannot get counterfactual answers: too many accept the same"):
        counterfactuals(pairs(*answers), 0)


def test_no_pairs_give_no_counterfactuals() -> None:
    assert counterfactuals([], 0) == ()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=9), st.integers(0, 100))
def test_it_fails_only_if_one_answer_is_too_common(numbers: list[int], seed: int) -> None:
    # With one accepted answer each there is an assignment exactly if no answer makes up more than half (Hall 1935).
    made = pairs(*((str(number),) for number in numbers))
    if max(map(numbers.count, numbers)) * 2 > len(numbers):
        with pytest.raises(DataError):
            counterfactuals(made, seed)
    else:
        check_assignment(made, counterfactuals(made, seed))


def test_sums_with_different_signs_are_different_answers() -> None:
    made = [Pair(f"p{n}", f"q{n}", text, (text,), exact=True) for n, text in enumerate(("1+2", "1-2"))]
    assert [pair.answer for pair in counterfactuals(made, 0)] == ["1-2", "1+2"]


def test_real_pairs_get_counterfactual_answers() -> None:
    made = list(source("squad", path=str(shared_file("squad_v2_sample.json"))).read(None, 0).pairs)
    check_assignment(made, counterfactuals(made, 0))
