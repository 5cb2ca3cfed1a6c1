import random
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations, product
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data.tasks import Problem, Role
from trimtab.data.tasks.urns import Urns
from trimtab.errors import DataError

LEVELS = (1, 2, 3, 4, 5)


def drawn(count: int, levels: tuple[int, ...] = LEVELS, split: str = "train", colours: int = 3) -> list[Problem]:
    return Urns(levels=levels, colours=colours).split(split, count, 5)  # type: ignore[arg-type]


def balls(text: str) -> list[str]:
    return [ball for colour, count in re.findall(r"([rgbw])(\d)", text) for ball in colour * int(count)]


def cases(prompt: str) -> Iterator[tuple[str, Fraction]]:
    """Every case of a question with its answer and weight, computed from the prompt alone."""
    ones = Fraction(1)
    if match := re.fullmatch(r"urn (.+), draw:", prompt):
        yield from ((ball, ones) for ball in balls(match[1]))
    elif match := re.fullmatch(r"urn (.+), draw 2, (second|same|count (.)):", prompt):
        for first, second in permutations(balls(match[1]), 2):
            if match[2] == "second":
                yield second, ones
            elif match[2] == "same":
                yield "yn"[first != second], ones
            else:
                yield str((first, second).count(match[3])), ones
    elif match := re.fullmatch(r"urn (.+), first (.), second:", prompt):
        yield from ((second, ones) for first, second in permutations(balls(match[1]), 2) if first == match[2])
    elif match := re.fullmatch(r"dice (\d+) (\d+), (?:first (\d+), )?(higher|sum([<>])(\d+)):", prompt):
        for one, other in product(range(1, int(match[1]) + 1), range(1, int(match[2]) + 1)):
            if match[3] and one != int(match[3]):
                continue
            if match[4] == "higher":
                yield "1" if one > other else "2" if other > one else "=", ones
            else:
                total, bound = one + other, int(match[6])
                yield "yn"[not (total > bound if match[5] == ">" else total < bound)], ones
    elif match := re.fullmatch(r"A (.+), B (.+), drew (.), urn:", prompt):
        for name, urn in (("A", balls(match[1])), ("B", balls(match[2]))):
            yield from ((name, Fraction(1, len(urn))) for ball in urn if ball == match[3])
    else:
        raise AssertionError(prompt)


def truth(prompt: str) -> dict[str, Fraction]:
    counts: dict[str, Fraction] = Counter()  # type: ignore[assignment]
    for answer, weight in cases(prompt):
        counts[answer] += weight
    total = sum(counts.values())
    return {answer: weight / total for answer, weight in counts.items()}


@pytest.mark.parametrize("level", LEVELS)
def test_probabilities_equal_those_from_enumerating_all_cases(level: int) -> None:
    for problem in drawn(150, (level,), colours=4):
        right = truth(problem.prompt)
        assert sum(problem.option_probabilities) == pytest.approx(1, abs=1e-12)
        stated = dict(zip(problem.options, problem.option_probabilities, strict=True))
        assert set(right) <= set(stated)
        for option, probability in stated.items():
            assert probability == pytest.approx(float(right.get(option, 0)), abs=1e-12)
        assert right[problem.truth] == max(right.values())
        assert problem.uncertainty == pytest.approx(float(1 - max(right.values())), abs=1e-12)
        assert problem.answer in right


@pytest.mark.parametrize("level", LEVELS)
def test_answers_are_drawn_from_the_exact_distribution(level: int) -> None:
    """The excess of an option's answers over its probabilities, summed, has mean 0 and a known variance."""
    excess: Counter[str] = Counter()
    variance: Counter[str] = Counter()
    for problem in drawn(4000, (level,)):
        for option, chance in zip(problem.options, problem.option_probabilities, strict=True):
            excess[option] += (option == problem.answer) - chance  # type: ignore[assignment]
            variance[option] += chance * (1 - chance)  # type: ignore[assignment]
    for option, total in excess.items():
        assert abs(total) < 4 * sqrt(variance[option])
    assert any(total for total in excess.values())


def test_the_same_question_is_drawn_with_different_answers() -> None:
    rng = random.Random(0)
    problems = [Urns(levels=(3,)).problem(3, rng) for _ in range(3000)]
    answers: dict[str, set[str]] = {}
    for problem in problems:
        answers.setdefault(problem.prompt, set()).add(problem.answer)
    assert sum(len(drawn_answers) > 1 for drawn_answers in answers.values()) > 100


def test_every_level_has_the_questions_of_the_documented_table() -> None:
    shapes = {
        level: {
            re.sub(r"( [rgbw]\d+)+", " U", re.sub(r"(?<= )\d+|(?<=[<>])\d+", "N", problem.prompt))
            for problem in drawn(400, (level,))
        }
        for level in LEVELS
    }
    shapes = {
        level: {re.sub(r"(first|drew|count) [rgbw]", r"\1 C", shape) for shape in prompts}
        for level, prompts in shapes.items()
    }
    assert shapes == {
        1: {"urn U, draw:"},
        2: {"urn U, draw N, second:", "urn U, draw N, same:", "urn U, draw N, count C:"},
        3: {"dice N N, higher:", "dice N N, sum>N:", "dice N N, sum<N:"},
        4: {"urn U, first C, second:", "dice N N, first N, sum>N:"},
        5: {"A U, B U, drew C, urn:"},
    }
    assert all(len(problem.prompt) + len(problem.answer) < 64 for problem in drawn(2000, colours=4))


def test_roles_of_counts_labels_and_words() -> None:
    for problem in drawn(500):
        for start, end, role in problem.prompt_numbers:
            spelled = problem.prompt[start:end]
            assert role == (
                Role.QUANTITY if spelled.isdigit() else Role.STRUCTURE if spelled in "<>" else Role.CATEGORY
            ), problem.prompt
        quantities = [problem.prompt[n.start : n.end] for n in problem.prompt_numbers if n.role == Role.QUANTITY]
        assert quantities == re.findall(r"\d+", problem.prompt)
        labels = {problem.prompt[n.start : n.end] for n in problem.prompt_numbers if n.role == Role.CATEGORY}
        assert labels <= set("rgbwAB")
        counted = ", count " in problem.prompt
        assert problem.answer_numbers == ((0, 1, Role.QUANTITY if counted else Role.CATEGORY),)


def in_order(prompt: str) -> str:
    """The question with its colours, dice and urns sorted, computed from the prompt alone."""
    prompt = re.sub(r"[rgbw]\d+( [rgbw]\d+)+", lambda match: " ".join(sorted(match[0].split())), prompt)
    if match := re.fullmatch(r"dice (\d+) (\d+), (higher:|sum.*)", prompt):
        return f"dice {sorted([int(match[1]), int(match[2])])} {match[3]}"
    if match := re.fullmatch(r"A (.+), B (.+), (drew .*)", prompt):
        return f"{sorted([match[1], match[2]])} {match[3]}"
    return prompt


@pytest.mark.parametrize("level", LEVELS)
def test_no_validation_question_is_trained_on_in_another_order(level: int) -> None:
    trained = {in_order(problem.prompt) for problem in drawn(8000, (level,))}
    validation = [in_order(problem.prompt) for problem in drawn(100, (level,), "validation")]
    assert len(set(validation)) == len(validation)
    assert not trained & set(validation)


def test_different_questions_have_different_keys() -> None:
    """The order of dice matters if one is thrown first; colours and questions always matter."""
    rng = random.Random(1)
    for level in LEVELS:
        meant: dict[str, set[str]] = {}
        for _ in range(3000):
            problem = Urns().problem(level, rng)
            meant.setdefault(problem.question, set()).add(in_order(problem.prompt))
        assert all(len(prompts) == 1 for prompts in meant.values())


def test_too_few_different_questions_are_an_error_that_names_the_level() -> None:
    with pytest.raises(
        DataError, match=r"too few different questions for 200 validation problems: .* of level 3 in a row"
    ):
        drawn(200, (3,), "validation")


def test_a_response_is_scored_by_its_first_word() -> None:
    task = Urns()
    problem = Problem("urn r2 b2 g1, draw:", "g", "r", options=("r", "b", "g"), option_probabilities=(0.4, 0.4, 0.2))
    for response, exact, chance in (
        ("r", 1, 0.4),
        (" b.\nmore", 1, 0.4),
        ("g", 0, 0.2),
        ("r, I think", 1, 0.4),
        ("red", 0, 0),
        ("", 0, 0),
        (" \n ", 0, 0),
    ):
        assert task.score(problem, response) == {"exact_match": exact, "truth_probability": chance}, response


def test_an_impossible_option_is_never_right() -> None:
    problem = Problem("p", "y", "y", options=("y", "n"), option_probabilities=(1.0, 0.0))
    assert Urns().score(problem, "n") == {"exact_match": 0, "truth_probability": 0}


@given(st.text())
def test_any_response_has_a_score(response: str) -> None:
    problem = Problem("p", "y", "y", options=("y", "n"), option_probabilities=(0.7, 0.3))
    assert all(0 <= value <= 1 for value in Urns().score(problem, response).values())
