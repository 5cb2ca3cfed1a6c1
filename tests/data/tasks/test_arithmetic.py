import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.config import ConfigError
from trimtab.data.tasks import Problem, Role
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.arithmetic.expressions import Operation, parse
from trimtab.training.components import TASKS

OPERATIONS: tuple[Operation, ...] = ("sum", "difference", "product", "chain")
LEVELS = (1, 2, 3, 4, 5)


def drawn(count: int = 400, split: str = "train", **parameters: object) -> list[Problem]:
    return Arithmetic(**{"levels": LEVELS, **parameters}).split(split, count, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_working_alone_is_that_of_scratch(operation: Operation) -> None:
    plain, scratch = (Arithmetic(operations=(operation,), scratch=shown) for shown in (False, True))
    for level in plain.levels:
        one, other = (task.problem(level, random.Random(level)) for task in (plain, scratch))
        steps, method = plain.working(one)
        assert f"{steps};{one.answer}" == other.answer and method == OPERATIONS.index(operation)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scratch", [False, True])
def test_answers_equal_the_value_that_python_computes(operation: Operation, scratch: bool) -> None:
    for problem in drawn(operations=(operation,), scratch=scratch):
        value = eval(problem.prompt.removesuffix("="))
        assert value >= 0
        assert problem.answer == problem.truth
        assert problem.answer.split(";")[-1] == str(value)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_step_is_a_true_equation(operation: Operation) -> None:
    for problem in drawn(operations=(operation,), scratch=True):
        *steps, final = problem.answer.split(";")
        assert steps
        for step in steps:
            left, _, right = step.partition("=")
            assert eval(left) == int(right)
        if operation in ("product", "chain"):
            assert steps[-1].endswith(f"={final}")
        else:  # column by column: the last digits of the steps are those of the answer, the last step's tens lead
            columns = [step.split("=")[1] for step in steps]
            spelled = columns[-1] + "".join(column[-1] for column in columns[-2::-1])
            assert int(spelled) == int(final)


def test_the_working_is_that_of_the_documented_examples() -> None:
    task = Arithmetic(scratch=True)
    for prompt, answer in (
        ("37+48=", "7+8=15;3+4+1=8;85"),
        ("32-15=", "12-5=7;3-1-1=1;17"),
        ("37*24=", "37*4=148;37*20=740;148+740=888;888"),
        ("7*40=", "7*40=280;280"),
        ("20+3*4-7=", "3*4=12;20+12=32;32-7=25;25"),
    ):
        assert task._problem_of(parse(prompt.removesuffix("=")), 1).answer == answer


def count_carries(first: int, second: int, sign: str) -> int:
    """The carries of column addition; a borrow of a − b is a carry of b + (a − b)."""
    if sign == "-":
        first, second = second, first - second
    carries = carried = 0
    while first or second:
        carried = int(first % 10 + second % 10 + carried > 9)
        carries += carried
        first, second = first // 10, second // 10
    return carries


@given(st.integers(1, 5), st.integers(0, 5), st.sampled_from(["sum", "difference"]), st.integers(0, 2**32))
def test_the_number_of_carries_is_the_configured_one(level: int, carries: int, operation: Operation, seed: int) -> None:
    carries = min(carries, level)
    problem = Arithmetic(levels=(level,), operations=(operation,), carries=carries).problem(level, random.Random(seed))
    first, sign, second = re.fullmatch(r"(\d+)([+-])(\d+)=", problem.prompt).groups()  # type: ignore[union-attr]
    assert len(first) == len(second) == level + 1
    assert int(first) >= int(second) or sign == "+"
    assert count_carries(int(first), int(second), sign) == carries


def test_without_carries_every_possible_number_of_carries_occurs() -> None:
    problems = drawn(600, levels=(2,), operations=("sum",))
    counts = {count_carries(*map(int, problem.prompt[:-1].split("+")), "+") for problem in problems}
    assert counts == {0, 1, 2, 3}


def test_levels_have_the_digits_of_the_documented_table() -> None:
    for level in LEVELS:
        for operation, digits in (
            ("sum", (level + 1, level + 1)),
            ("product", {1: (1, 2), 2: (1, 3), 3: (2, 2), 4: (2, 3), 5: (3, 3)}[level]),
        ):
            for problem in drawn(50, levels=(level,), operations=(operation,)):
                assert tuple(map(len, re.findall(r"\d+", problem.prompt))) == digits
                assert problem.level == level
        shapes = {
            1: (3, 1, 0),
            2: (3, 2, 0),
            3: (4, 2, 0),
            4: (4, 2, 1),
            5: (6, 2, 2),
        }
        for problem in drawn(50, levels=(level,), operations=("chain",)):
            numbers = re.findall(r"\d+", problem.prompt)
            assert (len(numbers), max(map(len, numbers)), problem.prompt.count("*")) == shapes[level]
    with pytest.raises(ConfigError, match="`carries` is 3, but a difference of level 2 has at most 2"):
        TASKS.resolve({"name": "arithmetic", "levels": [2, 3], "carries": 3})
    with pytest.raises(ConfigError, match="`operations` has neither"):
        TASKS.resolve({"name": "arithmetic", "operations": ["product"], "carries": 1})
    with pytest.raises(ValueError, match="a sum of level 1 has at most 2"):
        Arithmetic(levels=(1,), operations=("sum",), carries=3)


def test_operations_are_drawn_about_equally() -> None:
    kinds = Counter(re.sub(r"\d", "", problem.prompt) for problem in drawn(4000, levels=(2,)))
    for shares in (("+=",), ("-=",), ("*=",), ("++=", "+-=", "-+=", "--=")):
        assert abs(sum(kinds[share] for share in shares) / 4000 - 0.25) < 0.03


def test_order_and_signs_of_two_numbers_do_not_change_the_question() -> None:
    train = drawn(3000, levels=(1,), operations=("sum", "difference"))
    validation = drawn(300, "validation", levels=(1,), operations=("sum", "difference"))
    trained = {frozenset(re.findall(r"\d+", problem.prompt)) for problem in train}
    assert not trained & {frozenset(re.findall(r"\d+", problem.prompt)) for problem in validation}


def terms(prompt: str) -> tuple[tuple[str, ...], ...]:
    """The terms of a question in one order, each a number or the factors of a product, from the prompt alone."""
    return tuple(sorted(tuple(sorted(term.split("*"))) for term in re.split(r"[+-]", prompt.removesuffix("="))))


@pytest.mark.parametrize(("level", "count"), [(1, 15), (2, 300), (3, 300), (4, 300), (5, 300)])
def test_no_chain_of_the_validation_split_is_trained_on_in_another_order(level: int, count: int) -> None:
    trained = {terms(problem.prompt) for problem in drawn(5000, levels=(level,), operations=("chain",))}
    validation = [
        terms(problem.prompt) for problem in drawn(count, "validation", levels=(level,), operations=("chain",))
    ]
    assert len(set(validation)) == len(validation)
    assert not trained & set(validation)


def test_the_order_of_the_terms_does_not_change_the_question() -> None:
    task = Arithmetic()
    for same in (
        ("37+48", "48+37", "48-37"),
        ("37*24", "24*37"),
        ("2+8-2", "8-2-2", "2-2+8", "2+2+8"),
        ("7*9-12+44", "44+12-9*7", "12+9*7-44"),
        ("8*75-14-7*58+47", "47+75*8-58*7-14"),
    ):
        assert len({task._problem_of(parse(text), 1).question for text in same}) == 1, same
    for one, other in (("37+48", "37*48"), ("7*9-12+44", "7*12-9+44"), ("2*3+4+5", "2+3*4+5"), ("12+3+4", "1+23+4")):
        assert task._problem_of(parse(one), 1).question != task._problem_of(parse(other), 1).question


@pytest.mark.parametrize("scratch", [False, True])
def test_numbers_are_quantities_and_the_rest_is_structure(scratch: bool) -> None:
    for problem in drawn(200, scratch=scratch):
        for text, numbers in ((problem.prompt, problem.prompt_numbers), (problem.answer, problem.answer_numbers)):
            structure, *quantities = numbers
            assert structure == (0, len(text), Role.STRUCTURE)
            assert {role for _, _, role in quantities} == {Role.QUANTITY}
            assert [text[start:end] for start, end, _ in quantities] == re.findall(r"\d+", text)


def test_scores_of_right_and_wrong_answers() -> None:
    task = Arithmetic(levels=(2,))
    problem = task.split("train", 1, 0)[0]
    for response in ("{}", " {} ", "{}\n12+12=24", "{} is it", "0{}", "{}.", "{}.0", "{};"):
        assert task.score(problem, response.format(problem.truth)) == {"exact_match": 1.0}, response
    for response in ("", "{}1", "1{}", "-{}", "{}.5", "x{}", "\n\n", "no", "=", ".{}", ";{}"):
        assert task.score(problem, response.format(problem.truth)) == {"exact_match": 0.0}, response


def test_steps_are_scored_at_their_position() -> None:
    task = Arithmetic(scratch=True)
    problem = Problem("37+48=", "7+8=15;3+4+1=8;85", "7+8=15;3+4+1=8;85")
    for response, exact, steps in (
        ("7+8=15;3+4+1=8;85", 1, 1),
        (" 7+8=15; 3+4+1=8; 85 \n9+9=", 1, 1),
        ("7+8=15;3+4=7;75", 0, 0.5),
        ("7+8=14;3+4+1=8;85", 1, 0.5),
        ("3+4+1=8;7+8=15;85", 1, 0),
        ("85", 1, 0),
        ("7+8=15;3+4+1=8;1=1;1=1;85", 1, 0.5),
        ("7+8=15;3+4+1=8;", 0, 1),
        ("", 0, 0),
    ):
        assert task.score(problem, response) == {"exact_match": exact, "steps": steps}, response
    assert task.metrics == ("exact_match", "steps")


def test_an_ambiguous_question_accepts_its_most_likely_readings() -> None:
    task = Arithmetic()
    for weights, scores in (((0.5, 0.5), (1, 1)), ((0.7, 0.3), (1, 0))):
        readings = (("85", weights[0]), ("11", weights[1]))
        problem = Problem("48?37=", "11", "85", readings=readings, ambiguous=True)
        assert tuple(task.score(problem, answer)["exact_match"] for answer in ("85", "11")) == scores
        assert task.score(problem, "86") == {"exact_match": 0.0}


@pytest.mark.parametrize("scratch", [False, True])
def test_both_readings_have_the_same_prompt_and_question(scratch: bool) -> None:
    task = Arithmetic(levels=LEVELS, scratch=scratch)
    rng = random.Random(0)
    pairs = 0
    for problem in task.split("train", 500, 1):
        pair = task.two_readings(problem, rng)
        if pair is None:
            assert "*" in problem.prompt or "+" not in problem.prompt or len(re.findall(r"\d+", problem.prompt)) > 2
            continue
        pairs += 1
        plus, minus = pair
        assert plus.prompt == minus.prompt
        assert plus.prompt.count("?") == 1
        assert plus.question == minus.question == problem.question
        for reading, sign in ((plus, "+"), (minus, "-")):
            assert int(reading.answer.split(";")[-1]) == eval(plus.prompt.replace("?", sign)[:-1]) >= 0
        assert sorted(re.findall(r"\d+", plus.prompt)) == sorted(re.findall(r"\d+", problem.prompt))
    assert pairs > 250
    assert task.two_readings(task._problem_of(parse("12*34"), 3), rng) is None


@given(st.text() | st.from_regex(r"[0-9;=+*. \n-]{0,40}"), st.booleans())
def test_any_response_has_a_score(response: str, scratch: bool) -> None:
    task = Arithmetic(scratch=scratch)
    problem = Problem("37+48=", "85", "7+8=15;3+4+1=8;85" if scratch else "85")
    assert all(0 <= value <= 1 for value in task.score(problem, response).values())


def test_huge_responses_are_scored_in_linear_time() -> None:
    task = Arithmetic(scratch=True)
    problem = Problem("37+48=", "85", "7+8=15;3+4+1=8;85")
    for response in ("9" * 1_000_000, "0" * 1_000_000 + "x", ";" * 1_000_000, "-" * 1_000_000, "1.0" * 300_000):
        assert task.score(problem, response)["exact_match"] == 0
