import ast
import random
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.checks import check_splits
from tests.data.tasks.word_problems.stories_by_hand import BY_HAND
from trimtab.data import CharacterTokenizer
from trimtab.data.tasks import Problem, Role, task_data
from trimtab.data.tasks.word_problems import WordProblems
from trimtab.data.tasks.word_problems.stories import DISTRACTORS, STORIES, Story
from trimtab.data.tasks.writing import ordinal_ending, pattern

LEVELS = (1, 2, 3, 4)


def drawn(level: int, count: int, *, solution: bool = False) -> list[Problem]:
    task, rng = WordProblems(solution=solution), random.Random(level)
    return [task.problem(level, rng) for _ in range(count)]


def quantities(problem: Problem) -> list[int]:
    """The quantities of a prompt, without that of the irrelevant sentence."""
    prompt = problem.prompt
    skipped: set[int] = set()
    for sentence in DISTRACTORS:
        match = re.search(re.escape(sentence).replace(r"\{distractor:q\}", r"(\d+)"), prompt)
        if match is not None:
            skipped.add(match.start(1))
    return [
        int(prompt[start:end])
        for start, end, role in problem.prompt_numbers
        if role is Role.QUANTITY and start not in skipped
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_answers_are_right(level: int) -> None:
    stories = {story.name for story in STORIES if story.level == level}
    problems = drawn(level, 300 * len(stories))
    assert {problem.provenance["story"] for problem in problems} == stories
    for problem in problems:
        right = BY_HAND[problem.provenance["story"]](*quantities(problem))
        assert right == int(problem.answer) == int(problem.truth)
        assert right > 0


@pytest.mark.parametrize("level", LEVELS)
def test_solutions_follow_from_the_prompt(level: int) -> None:
    for number, solved in zip(drawn(level, 1000), drawn(level, 1000, solution=True), strict=True):
        assert number.prompt == solved.prompt  # `solution` does not change the question
        equations = re.findall(r"(\d+(?: [-+*/] \d+)+) = (\d+)", solved.answer)
        assert len(equations) >= min(level, 3)
        known = {*quantities(solved), 2, 3, 4, 100}
        for left, right in equations:
            assert {int(operand) for operand in re.findall(r"\d+", left)} <= known
            assert exactly(ast.parse(left, mode="eval").body) == int(right)
            known.add(int(right))
        assert solved.answer.endswith(f" #### {number.answer}")
        assert equations[-1][1] == number.answer
        assert "\n" not in solved.answer  # which ends an answer for a character tokenizer


def exactly(node: ast.expr) -> Fraction:
    """The value of an expression, by Python's own precedence and in exact fractions."""
    if isinstance(node, ast.Constant):
        return Fraction(node.value)
    assert isinstance(node, ast.BinOp)
    left, right = exactly(node.left), exactly(node.right)
    match node.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
    assert isinstance(node.op, ast.Div)
    return left / right


@pytest.mark.parametrize("level", LEVELS)
def test_every_number_has_its_role(level: int) -> None:
    category = re.compile(r"\b(?:[Bb]us|boat|[Rr]oom|[Tt]rain|shop|House|[Ss]helf|School|Tank) $")
    for problem in drawn(level, 1000, solution=True):
        for text, numbers in ((problem.prompt, problem.prompt_numbers), (problem.answer, problem.answer_numbers)):
            with_role = [number for number in numbers if number.role is not Role.STRUCTURE]
            assert [(start, end) for start, end, _ in with_role] == [
                match.span() for match in re.finditer(r"\d+", text)
            ]
            for start, end, role in with_role:
                is_index = text[:start].endswith("day ") or text[end : end + 2] in ("st", "nd", "rd", "th")
                is_category = category.search(text[:start]) is not None
                assert role is (Role.INDEX if is_index else Role.CATEGORY if is_category else Role.QUANTITY), text
            signs = [text[start:end] for start, end, role in numbers if role is Role.STRUCTURE]
            assert signs == re.findall(r"(?<= )[-+*/=](?= )|####", text)


def test_level_four_has_one_irrelevant_number() -> None:
    places = Counter()
    for problem in drawn(4, 2000):
        all_of_them = [number for number in problem.prompt_numbers if number.role is Role.QUANTITY]
        assert len(all_of_them) == len(quantities(problem)) + 1
        places[problem.prompt.count(". ", 0, next(iter(distractor_places(problem))))] += 1
    assert len(places) >= 3


def distractor_places(problem: Problem) -> list[int]:
    openings = [sentence.partition("{")[0] for sentence in DISTRACTORS]
    return [problem.prompt.index(opening) for opening in openings if opening in problem.prompt]


def test_other_names_and_labels_are_the_same_question() -> None:
    problems = drawn(1, 40_000)
    prompts: dict[str, set[str]] = {}
    for problem in problems:
        prompts.setdefault(problem.question, set()).add(problem.prompt)
    repeated = [variants for variants in prompts.values() if len(variants) > 1]
    assert repeated
    strip = re.compile(r"(?<=[Bb]us )\d+|(?<=boat )\d+|(?<=day )\d+")
    for variants in repeated:
        assert len({tuple(re.findall(r"\d+", strip.sub("", prompt))) for prompt in variants}) == 1


def test_the_splits_have_no_question_in_common() -> None:
    check_splits(WordProblems())


def test_items_have_the_role_and_place_of_each_digit() -> None:
    data = task_data(
        tokenizer=CharacterTokenizer(), task=WordProblems(solution=True), size=40, validation=20, context=600
    )
    for dataset in (data.train, data.validation):
        for index in range(len(dataset)):
            item = dataset[index]
            text = data.tokenizer.decode(item["input_ids"])
            role, place = item["metadata"]["aligned"]["role"], item["metadata"]["aligned"]["place"]
            digits = [position for position, character in enumerate(text) if character.isdigit()]
            assert [position for position in range(len(text)) if place[position] >= 0] == digits
            assert all(role[position] in (Role.QUANTITY, Role.CATEGORY, Role.INDEX) for position in digits)


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("18", 1),
        ("18 pens.", 1),
        (" 18.0\n", 1),
        ("9 * 2 = 18 #### 18", 1),
        ("#### 18 and then 20", 1),
        ("18 #### 20", 0),
        ("It is 18, not 20", 0),
        ("-18", 0),
        ("eighteen", 0),
        ("", 0),
    ],
)
@pytest.mark.parametrize("truth", ["18", "9 * 2 = 18. #### 18"])
def test_a_response_is_scored_by_its_final_number(truth: str, response: str, right: int) -> None:
    problem = Problem(prompt="How many?", answer=truth, truth=truth)
    assert WordProblems().score(problem, response) == {"exact_match": right}


@pytest.mark.parametrize("solution", [False, True])
def test_the_truth_has_exact_match_1(solution: bool) -> None:
    task = WordProblems(solution=solution)
    for level in LEVELS:
        for problem in drawn(level, 200, solution=solution):
            assert task.score(problem, problem.truth) == {"exact_match": 1.0}


@given(response=st.text())
def test_any_response_has_a_score(response: str) -> None:
    assert WordProblems().score(Problem(prompt="?", answer="18", truth="18"), response)["exact_match"] in (0.0, 1.0)


def test_patterns_refuse_unknown_fields_and_write_ordinals() -> None:
    with pytest.raises(ValueError, match="a field ends in"):
        pattern("{a:x}")
    endings = {1: "st", 2: "nd", 3: "rd", 4: "th", 11: "th", 12: "th", 13: "th", 21: "st", 102: "nd", 111: "th"}
    assert {number: ordinal_ending(number) for number in endings} == endings


def test_the_examples_in_the_docs_are_right() -> None:
    page = (Path(__file__).parents[4] / "docs" / "tasks.md").read_text(encoding="utf-8")
    section = page.partition("\n## word_problems\n")[2].partition("\n## ")[0]
    rows = re.findall(r"\| (\d) \|[^|]*\| `([^`]+)` \| `(\d+)` \|", section)
    assert [int(level) for level, _, _ in rows] == list(LEVELS)
    for level, prompt, answer in rows:
        for sentence in DISTRACTORS:
            prompt = re.sub(re.escape(sentence).replace(r"\{distractor:q\}", r"\d+") + " ?", "", prompt)
        (right,) = (
            answer_by_hand
            for story in STORIES
            if story.level == int(level)
            for answer_by_hand in by_story(story, prompt)
        )
        assert right == int(answer)


def by_story(story: Story, prompt: str) -> list[Fraction]:
    """The answer to a prompt as a list of one, or an empty list if the prompt belongs to another story."""
    words = (
        re.escape(" ".join(story.text)).replace(r"\{1:o\}", "1st").replace(r"\{2:o\}", "2nd").replace(r"\{3:o\}", "3rd")
    )
    expression = re.sub(r"\\{[a-z]+\\}|\\{\w+:[ci]\\}", r"\\w+", re.sub(r"\\{\w+:q\\}", r"(\\d+)", words))
    match = re.fullmatch(expression, prompt)
    return [] if match is None else [BY_HAND[story.name](*map(int, match.groups()))]
