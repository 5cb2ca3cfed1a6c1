import itertools
from typing import get_args

import pytest

from trimtab.data.tasks.reasoning_gym import ReasoningGym
from trimtab.data.tasks.reasoning_gym.generators import generator, wrong_yes_share
from trimtab.data.tasks.reasoning_gym.syllogisms import (
    Quantity,
    Statement,
    Syllogism,
    follows,
    read_question,
    read_statement,
)

LETTERS = dict(zip("AEIO", ("All", "No", "Some", "Some not"), strict=True))

# The 24 valid moods of Aristotle's syllogistic, by figure: 15 that need no existence and 9 that do.
VALID = {
    1: "AAA EAE AII EIO AAI EAO",
    2: "EAE AEE EIO AOO EAO AEO",
    3: "IAI AII OAO EIO EAO AAI",
    4: "AEE IAI EIO AEO EAO AAI",
}
# Figure: subject and predicate of the major premise (with P) and of the minor one (with S), M the middle term.
FIGURES = {1: ("MP", "SM"), 2: ("PM", "SM"), 3: ("MP", "MS"), 4: ("PM", "MS")}


def test_exactly_the_24_valid_moods_of_the_tradition_follow() -> None:
    valid = {
        (figure, "".join(mood))
        for figure, (major, minor) in FIGURES.items()
        for mood in itertools.product("AEIO", repeat=3)
        if follows(
            Syllogism(
                Statement(LETTERS[mood[0]], *major),  # type: ignore[arg-type]
                Statement(LETTERS[mood[1]], *minor),  # type: ignore[arg-type]
                Statement(LETTERS[mood[2]], "S", "P"),  # type: ignore[arg-type]
            )
        )
    }
    assert valid == {(figure, mood) for figure, moods in VALID.items() for mood in moods.split()}
    assert len(valid) == 24


def test_a_single_premise_implies_exactly_the_traditional_conversions() -> None:
    other = Statement("All", "b", "c")
    follow = {("No", "No"), ("Some", "Some"), ("All", "Some")}
    for premise, conclusion in itertools.product(get_args(Quantity), repeat=2):
        valid = follows(
            Syllogism(Statement(premise, "a", "b"), Statement("Some", "b", "b"), Statement(conclusion, "b", "a"))
        )
        assert valid == ((premise, conclusion) in follow or (premise, conclusion) == ("No", "Some not")), (
            premise,
            conclusion,
        )
    with pytest.raises(ValueError, match="three terms"):
        follows(Syllogism(other, other, Statement("All", "d", "e")))


def test_statements_and_questions_are_parsed() -> None:
    assert read_statement("Some dogs are not cats") == ("Some not", "dogs", "cats")
    for text in ("All dogs are not cats", "Most dogs are cats", "dogs"):
        with pytest.raises(ValueError, match="not a categorical statement"):
            read_statement(text)
    question = "Consider these statements:\n1. All a are b\n2. No b are c\n\nDoes it logically follow that:\nNo a are c?\n(Answer Yes or No)"
    assert read_question(question).form == (("All", "0", "1"), ("No", "1", "2"), ("No", "0", "2"))
    assert follows(read_question(question))
    with pytest.raises(ValueError, match="not a question about a syllogism"):
        read_question("What is 2 and 2?")


def test_a_quarter_of_the_yes_labels_are_wrong_and_no_no_label_is() -> None:
    problems = ReasoningGym(dataset="syllogism", tags="exact").split("train", 3000, 0)
    wrong = [problem for problem in problems if problem.noisy]
    assert all((problem.answer, problem.truth) == ("Yes", "No") for problem in wrong)
    assert 0.10 < len(wrong) / len(problems) < 0.145  # .7 x .7 x 1/4 = .1225; this is 3.7 standard errors either way
    tagged = [problem for problem in problems if problem.uncertainty]
    assert {problem.uncertainty for problem in tagged} == {0.25}
    assert all(problem.uncertainty for problem in wrong)
    assert 0.21 < len(wrong) / len(tagged) < 0.29


def test_the_share_of_wrong_labels_depends_on_the_config() -> None:
    assert wrong_yes_share(generator("syllogism", {}, 0)[1]) == 0.25
    assert wrong_yes_share(generator("syllogism", {"allow_some": False, "allow_some_not": False}, 0)[1]) == 0.0
    only = ReasoningGym(dataset="syllogism", tags="exact", config={"allow_some": False, "inversion_probability": 0.0})
    problems = only.split("train", 1500, 0)
    tagged = [problem for problem in problems if problem.uncertainty]
    expected = {problem.uncertainty for problem in tagged}
    assert len(expected) == 1
    assert sum(problem.noisy for problem in tagged) / len(tagged) == pytest.approx(expected.pop(), abs=0.06)


def test_oracle_tags_are_1_for_wrong_labels_and_tags_none_are_0() -> None:
    oracle = ReasoningGym(dataset="syllogism", tags="oracle").split("train", 300, 0)
    assert [problem.uncertainty for problem in oracle] == [float(problem.noisy) for problem in oracle]
    plain = ReasoningGym(dataset="syllogism").split("train", 300, 0)
    assert not any(problem.uncertainty for problem in plain)
    assert [problem.prompt for problem in plain] == [problem.prompt for problem in oracle]


def test_scores_compare_with_the_truth_and_not_with_the_label() -> None:
    task = ReasoningGym(dataset="syllogism")
    validation = task.split("validation", 200, 0)
    assert any(problem.noisy for problem in validation)
    for problem in validation:
        assert task.score(problem, f"{problem.truth.lower()}.")["exact_match"] == 1
        assert task.score(problem, {"Yes": "No", "No": "Yes"}[problem.truth])["exact_match"] == 0
