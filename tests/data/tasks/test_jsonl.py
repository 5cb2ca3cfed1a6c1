import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.shared import shared_file, write_rows
from trimtab.config import ConfigError, DataError
from trimtab.data.problem import Problem
from trimtab.data.tasks import ProblemDataset, task_data
from trimtab.data.tasks.files import BadRowError
from trimtab.data.tasks.files.keyed_rows import RowReader, matches, normalised
from trimtab.data.tasks.jsonl import JsonLines
from trimtab.data.tokenizers import CharacterTokenizer
from trimtab.training.config import load_config

KEYS = RowReader(
    prompt_key="q",
    answer_key="a",
    match="normalised",
    accepted_key="also",
    uncertainty_key="u",
    options_key="o",
    probabilities_key="p",
    level_key="l",
)
ROW: dict[str, Any] = {"q": "Red or blue?", "a": "red", "also": ["Red", "scarlet"], "u": 0.25, "l": 3} | {
    "o": ["red", "blue"],
    "p": [0.75, 0.25],
}


def test_a_row_with_every_key_becomes_a_problem() -> None:
    problem = KEYS.problem(ROW)
    assert (problem.prompt, problem.answer, problem.truth, problem.level) == ("Red or blue?\n", "red", "red", 3)
    assert problem.accepted == (("red", 1 / 3), ("Red", 1 / 3), ("scarlet", 1 / 3))
    assert (problem.options, problem.option_probabilities) == (("red", "blue"), (0.75, 0.25))
    assert problem.uncertainty == 0.25


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"q": ""}, "'q' is empty"),
        ({"q": 7}, "'q' is a number where text is needed"),
        ({"q": None}, "'q' is null where text is needed"),
        ({"q": "a\ud800"}, "'q' is not valid Unicode: a lone surrogate (U+D800) at character 1"),
        ({"a": []}, "'a' is an empty list"),
        ({"a": ["x", " "]}, "'a'[1] is empty"),
        ({"a": True}, "'a' is true or false where text or a number is needed"),
        ({"a": {"x": 1}}, "'a' is an object where text or a number is needed"),
        ({"a": 1e999}, "'a' is too large a number"),
        ({"u": 1.5}, "'u' is 1.5, but must be between 0 and 1"),
        ({"u": "high"}, "'u' is text where a number is needed"),
        ({"u": 10**400}, "'u' is too large a number"),
        ({"o": ["red", "red"]}, "'o' contains an option twice"),
        ({"o": ["green", "blue"]}, "the answer 'red' is not exactly one of the options in 'o'"),
        ({"a": "Red"}, "the answer 'Red' is not exactly one of the options in 'o'"),
        ({"p": [1.0]}, "'p' must be a list of 2 numbers"),
        ({"p": [0.5, 0.6]}, "add up to 1.1"),
        ({"p": [1.5, -0.5]}, "'p' must be numbers from 0 to 1"),
        ({"l": 1.5}, "'l' must be a level of difficulty, a whole number"),
        ({"l": -1}, "'l' must be a level of difficulty, a whole number"),
    ],
)
def test_a_bad_value_in_a_row_is_reported(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRowError) as error:
        KEYS.problem({**ROW, **change})
    assert reason in str(error.value)


@pytest.mark.parametrize("key", ["q", "a", "u", "o", "p", "l"])
def test_a_missing_key_is_reported(key: str) -> None:
    with pytest.raises(BadRowError, match=f"it has no '{key}'; it has "):
        KEYS.problem({name: value for name, value in ROW.items() if name != key})


def test_further_answers_may_be_missing() -> None:
    assert KEYS.problem({name: value for name, value in ROW.items() if name != "also"}).accepted == ()


def test_numbers_are_answers_and_a_key_may_be_a_path() -> None:
    reader = RowReader(prompt_key="q", answer_key="answers.text", match="exact")
    problem = reader.problem({"q": "How many?", "answers": {"text": [3, 3.5, "3"], "start": [0]}})
    assert problem.accepted == (("3", 0.5), ("3.5", 0.5))
    assert reader.problem({"q": "q", "answers.text": "itself"}).answer == "itself"


@given(
    st.dictionaries(
        st.sampled_from(list(ROW)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        ),
    )
)
def test_any_row_is_a_problem_or_a_bad_row(change: dict[str, Any]) -> None:
    try:
        problem = KEYS.problem({**ROW, **change})
    except BadRowError as error:
        assert str(error)
        return
    assert problem.prompt.strip()
    assert problem.answer.strip()
    problem.prompt.encode()
    assert 0 <= problem.uncertainty <= 1
    assert sum(problem.option_probabilities) == pytest.approx(1)


@pytest.mark.parametrize(
    ("match", "right", "wrong"),
    [
        ("exact", ["The Beatles", " The Beatles\n"], ["the Beatles", "The Beatles."]),
        ("normalised", ["the beatles!", "Beatles", "A  Beatles"], ["Beatle", "The Beatles of old", ""]),
    ],
)
def test_texts_match_exactly_or_normalised(match: Any, right: list[str], wrong: list[str]) -> None:
    assert all(matches(match, response, ["Abbey Road", "The Beatles"]) for response in right)
    assert not any(matches(match, response, ["Abbey Road", "The Beatles"]) for response in wrong)


def test_numbers_match_by_value() -> None:
    assert all(
        matches("number", response, ["18 eggs", "-3"]) for response in ["18", "$18.00", "so it is -3.0", "#### 18"]
    )
    assert not any(matches("number", response, ["18 eggs", "-3"]) for response in ["", "3", "180", "18 and 1"])


def test_a_text_that_normalisation_would_empty_is_only_lower_cased() -> None:
    assert normalised("?") == "?" != normalised("!")
    assert normalised("The") == "the"
    assert not matches("normalised", "", ["?"])
    assert normalised("\uff21\uff22 c") == "ab c"


@given(st.text(), st.sampled_from(["exact", "normalised", "number"]))
def test_any_response_has_a_score(text: str, match: Any) -> None:
    task = JsonLines(path="never read", match=match)
    assert task.score(Problem(prompt="q", answer="18", truth="18"), text)["exact_match"] in (0.0, 1.0)
    assert task.score(Problem(prompt="q", answer="18", truth="18"), "18")["exact_match"] == 1.0


def test_any_accepted_answer_is_right(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{**ROW, "q": f"{number}?"} for number in range(20)])
    task = JsonLines(path=path, prompt_key="q", answer_key="a", accepted_key="also")
    problem = task.split("train", None, 0)[0]
    responses = ["Scarlet.", "red", "blue"]
    assert [task.score(problem, response)["exact_match"] for response in responses] == [1.0, 1.0, 0.0]
    item = ProblemDataset([problem], CharacterTokenizer())[0]
    assert item["metadata"]["target_set"] == ["red", "Red", "scarlet"]
    assert item["metadata"]["aligned"]["target_weights"].sum(-1).max() == pytest.approx(1)


def test_numbers_are_answers_as_their_file_writes_them(tmp_path: Path) -> None:
    numbers = ["1.10", "1e2", "3.14159265358979323846", "100000000000000000000.0", "-0", "12"]
    lines = [f'{{"prompt": "{n}?", "answer": [{numbers[n % 6]}]}}' for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    for match in ("exact", "normalised", "number"):
        task = JsonLines(path=str(tmp_path / "rows.jsonl"), match=match)
        for problem in [*task.split("train", None, 0), *task.split("validation", None, 0)]:
            assert problem.answer == numbers[int(problem.prompt[:-2]) % 6]
            assert task.score(problem, problem.answer) == {"exact_match": 1.0}
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "answer": 1E-400}')
    with pytest.raises(DataError, match="line 1: the number 1E-400 in it is too small"):
        task = JsonLines(path=str(tmp_path / "rows.jsonl"))
        task.split("train", None, 0)


def test_the_report_counts_the_characters_that_the_tokenizer_lacks_in_each_split(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n} \u20ac or \u00e9\u20ac?", "answer": "\u20ac" if n == 3 else "x"} for n in range(20)]
    task = JsonLines(path=write_rows(tmp_path / "rows.jsonl", rows))
    report = task_data(tokenizer=CharacterTokenizer(), task=task, context=32).report
    unknown = report.to_dict()["unknown_characters"]
    for split in ("train", "validation"):
        texts = "".join(problem.prompt + problem.answer for problem in task.split(split, None, 0))  # type: ignore[arg-type]
        assert unknown[split] == texts.count("\u20ac") + texts.count("\u00e9") > 0
    assert unknown["most_frequent"] == [
        {"character": "\u20ac", "occurrences": 41},
        {"character": "\u00e9", "occurrences": 20},
    ]
    assert any(line.startswith("61 unknown characters (") for line in report.lines())
    plain = JsonLines(
        path=write_rows(tmp_path / "plain.jsonl", [{"prompt": f"p{n}", "answer": "x"} for n in range(20)])
    )
    plain_report = task_data(tokenizer=CharacterTokenizer(), task=plain, context=32).report.to_dict()
    assert plain_report["unknown_characters"] == {"train": 0, "validation": 0, "most_frequent": []}


def test_probabilities_without_options_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.task.*`probabilities_key` requires `options_key`"):
        load_config(None, ["data={name: task, task: {name: jsonl, path: rows.jsonl, probabilities_key: p}}"])


def test_matching_by_number_requires_a_number_in_every_answer(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "q", "answer": "many"}])
    with pytest.raises(DataError, match="the answer 'many' has no plain number"):
        JsonLines(path=path, match="number").split("train", None, 0)


def test_real_open_questions_with_several_answers() -> None:
    path = shared_file("nq_open_sample.jsonl")
    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    task = JsonLines(path=str(path), prompt_key="question")
    train, validation = task.split("train", None, 0), task.split("validation", None, 0)
    assert len(train) + len(validation) + len(task.skipped) == len(written)
    assert not {problem.question for problem in train} & {problem.question for problem in validation}
    answers = {row["question"]: row["answer"] for row in written}
    for problem in [*train, *validation]:
        for answer in answers[problem.prompt.strip()]:
            assert task.score(problem, answer) == {"exact_match": 1.0}
    bundle = task_data(tokenizer=CharacterTokenizer(), task=task, context=255)
    assert len(bundle.train) == len(train)


def test_a_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Tom has {n} apples and buys {n % 113} more. How many?", "answer": str(n + n % 113)}
        for n in range(100_000)
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    task = JsonLines(path=path)
    train, validation = task.split("train", None, 0), task.split("validation", None, 0)
    assert len(train) + len(validation) == 100_000
