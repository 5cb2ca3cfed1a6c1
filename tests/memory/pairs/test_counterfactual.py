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


def check(given_pairs: list[Pair], changed: tuple[Pair, ...]) -> None:
    assert [pair.question for pair in changed] == [pair.question for pair in given_pairs]
    assert sorted(pair.answer for pair in changed) == sorted(pair.answer for pair in given_pairs)
    by_id = {pair.id: pair for pair in given_pairs}
    for before, after in zip(given_pairs, changed, strict=True):
        assert after.id == f"{before.id}.counterfactual"
        assert after.metadata["counterfactual_of"] == before.id != after.metadata["answer_of"]
        assert by_id[after.metadata["answer_of"]].answer == after.answer
        assert after.answers == (after.answer,)
        assert squad_normalise(after.answer) not in map(squad_normalise, before.answers)


def test_the_seed_decides() -> None:
    made = pairs(*((f"answer {index}",) for index in range(20)))
    check(made, counterfactuals(made, 0))
    assert counterfactuals(made, 0) == counterfactuals(made, 0) != counterfactuals(made, 1)


def test_an_accepted_answer_in_other_words_is_not_given() -> None:
    made = pairs(("Paris",), ("the Paris!", "Lyon"), ("lyon",), ("Nice",))
    for seed in range(20):
        check(made, counterfactuals(made, seed))


def test_the_only_way_is_found() -> None:
    # Half of the answers are the same: they must all change places with the others.
    made = pairs(*([("x",)] * 50 + [(f"y{index}",) for index in range(50)]))
    random.Random(0).shuffle(made)
    for seed in range(5):
        check(made, counterfactuals(made, seed))


@pytest.mark.parametrize("answers", [[("x",)], [("x",), ("X.",)], [("x",), ("x",), ("y",)]])
def test_where_there_is_no_way(answers: list[tuple[str, ...]]) -> None:
    with pytest.raises(
        DataError, match="No counterfactual answers can be given to these .* pairs: too many accept the same"
    ):
        counterfactuals(pairs(*answers), 0)


def test_of_nothing_there_is_nothing() -> None:
    assert counterfactuals([], 0) == ()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=9), st.integers(0, 100))
def test_it_fails_only_where_an_answer_is_too_common(numbers: list[int], seed: int) -> None:
    # With one accepted answer each there is an assignment exactly if no answer makes up more than half (Hall 1935).
    made = pairs(*((str(number),) for number in numbers))
    if max(map(numbers.count, numbers)) * 2 > len(numbers):
        with pytest.raises(DataError):
            counterfactuals(made, seed)
    else:
        check(made, counterfactuals(made, seed))


def test_sums_with_other_signs_are_other_answers() -> None:
    made = [Pair(f"p{n}", f"q{n}", text, (text,), exact=True) for n, text in enumerate(("1+2", "1-2"))]
    assert [pair.answer for pair in counterfactuals(made, 0)] == ["1-2", "1+2"]


def test_real_pairs() -> None:
    made = list(source("squad", path=str(shared_file("squad_v2_sample.json"))).read(None, 0).pairs)
    check(made, counterfactuals(made, 0))
