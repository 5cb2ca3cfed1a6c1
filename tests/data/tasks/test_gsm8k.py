import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.shared import shared_file, write_rows
from trimtab.config import REGISTRIES, ConfigError, DataError
from trimtab.data.problem import Problem, Role
from trimtab.data.tasks import task_data
from trimtab.data.tasks.gsm8k import GSM8K
from trimtab.data.tokenizers import CharacterTokenizer
from trimtab.training.config import load_config

ROW = {
    "question": "Mia packs 3 boxes a day for 4 days. How many boxes are left of 1,012?",
    "answer": "She packs 3*4=<<3*4=12>>12 boxes.\nThere are 1,012-12=<<1012-12=1000>>1,000 left.\n#### 1,000",
}


def task(tmp_path: Path, **parameters: object) -> GSM8K:
    others = [{"question": f"How many is {number} and 1?", "answer": f"#### {number + 1}"} for number in range(20)]
    return GSM8K(path=write_rows(tmp_path / "gsm8k.jsonl", [ROW, *others]), **parameters)  # type: ignore[arg-type]


def test_without_solution_the_answer_is_the_number_alone(tmp_path: Path) -> None:
    problem = task(tmp_path).problem(ROW)
    assert (problem.prompt, problem.answer, problem.truth) == (ROW["question"] + "\n", "1000", "1000")
    assert problem.level == 2
    assert [problem.prompt[start:end] for start, end, _ in problem.prompt_numbers] == ["3", "4", "1,012"]
    assert list(problem.answer_numbers) == [(0, 4, Role.QUANTITY)]


def test_a_negative_number_alone_has_its_sign_outside_the_span(tmp_path: Path) -> None:
    problem = task(tmp_path).problem({"question": "q", "answer": "#### -7.5"})
    assert (problem.answer, list(problem.answer_numbers)) == ("-7.5", [(1, 4, Role.QUANTITY)])


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ({}, "She packs 3*4=12 boxes.\nThere are 1,012-12=1,000 left.\n#### 1,000"),
        ({"annotations": True}, ROW["answer"]),
        ({"line_break": "; "}, "She packs 3*4=12 boxes.; There are 1,012-12=1,000 left.; #### 1,000"),
    ],
)
def test_with_solution_the_answer_is_the_worked_solution(
    tmp_path: Path, parameters: dict[str, object], answer: str
) -> None:
    problem = task(tmp_path, solution=True, **parameters).problem(ROW)
    assert problem.answer == answer
    assert problem.answer[problem.answer_numbers[-1].start :] == "1,000"


def test_a_response_is_scored_by_its_final_number(tmp_path: Path) -> None:
    gsm8k = task(tmp_path)
    problem = gsm8k.problem(ROW)
    right = ["1000", "1,000", "$1,000.00", " 1000 boxes.\n", "so 12 and then 1000", "#### 1000 and then 7", "+1000"]
    wrong = ["", "100", "-1000", "1000 or 12", "#### 12\n1000", "a thousand", "10 00"]
    assert [gsm8k.score(problem, response)["exact_match"] for response in right] == [1.0] * len(right)
    assert [gsm8k.score(problem, response)["exact_match"] for response in wrong] == [0.0] * len(wrong)


@given(st.text())
def test_any_response_has_a_score(text: str) -> None:
    problem = Problem(prompt="q", answer="18", truth="18")
    score = GSM8K(path="never read.jsonl").score(problem, text)
    assert list(score) == ["exact_match"]
    assert score["exact_match"] in (0.0, 1.0)


@pytest.mark.parametrize("final", ["1/2", "2 1/2", "3:30", "5 km", "1,5", "5-6", "\\frac{1}{2}", "5\nno, then\n#### 7"])
@pytest.mark.parametrize("solution", [False, True])
def test_a_row_with_an_ambiguous_number_is_reported_or_skipped(tmp_path: Path, final: str, solution: bool) -> None:
    rows = [{"question": f"How many is {number} and 1?", "answer": f"#### {number + 1}"} for number in range(20)]
    path = write_rows(tmp_path / "rows.jsonl", [*rows, {"question": "q", "answer": f"x\n#### {final}"}])
    with pytest.raises(DataError, match=r"rows\.jsonl, line 21: its answer "):
        GSM8K(path=path, solution=solution).split("train", None, 0)
    skipping = GSM8K(path=path, solution=solution, on_bad_row="skip")
    assert len(skipping.split("train", None, 0)) + len(skipping.split("validation", None, 0)) == 20
    assert len(skipping.skipped) == 1


@pytest.mark.parametrize("solution", [False, True])
def test_the_right_answer_scores_1_in_every_spelling(tmp_path: Path, solution: bool) -> None:
    gsm8k = task(tmp_path, solution=solution)
    for final, others in {
        "1,000": ["1000", "1 000"],
        "1,23,456": ["123456", "123,456", "The answer is 1,23,456"],
        "$18": ["18"],
        "-$5": ["-5"],
        "50%": ["50"],
        "7.50": ["7.5"],
    }.items():
        problem = gsm8k.problem({"question": "q", "answer": f"3 + 4 = 7\n#### {final}"})
        for response in (final, *others, problem.answer, f"#### {final}"):
            assert gsm8k.score(problem, response) == {"exact_match": 1.0}


def test_a_line_break_that_contains_a_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="with this `line_break`"):
        task(tmp_path, solution=True, line_break=" #### 1 ").split("train", None, 0)


@pytest.mark.parametrize("answer", ["18", "####", "#### eighteen", "#### 18\nor so", "", " ", 18, None, ["#### 18"]])
def test_a_row_without_a_final_number_is_reported(tmp_path: Path, answer: object) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [ROW, {"question": "q", "answer": answer}])
    with pytest.raises(DataError, match=r"rows\.jsonl, line 2: "):
        GSM8K(path=path).split("train", None, 0)


def test_without_a_path_the_error_says_where_to_get_the_file_and_its_format() -> None:
    with pytest.raises(ConfigError, match=r"data\.task.*openai/grade-school-math \(MIT.*\"question\"") as error:
        load_config(None, ["data={name: task, task: {name: gsm8k}, size: 5, validation: 5, context: 64}"])
    assert "data.task.path" in str(error.value)
    with pytest.raises(ConfigError, match="openai/grade-school-math"):
        GSM8K()


def test_items_have_the_role_and_place_of_each_digit(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer()
    gsm8k = task(tmp_path, solution=True, line_break="; ")
    bundle = task_data(tokenizer=tokenizer, task=gsm8k, context=255)
    for dataset in (bundle.train, bundle.validation):
        for item in (dataset[index] for index in range(len(dataset))):
            text = tokenizer.decode(item["input_ids"])
            role, place = (item["metadata"]["aligned"][key].tolist() for key in ("role", "place"))
            digits = [index for index, character in enumerate(text) if character.isdigit()]
            assert [index for index in range(len(text)) if place[index] != -1] == digits
            assert all(role[index] == Role.QUANTITY for index in digits)
            for match in re.finditer(r"\d[\d,]*", text):
                value = sum(int(text[index]) * 10 ** place[index] for index in digits if index in range(*match.span()))
                assert value == int(match[0].replace(",", ""))


def test_a_real_sample_of_gsm8k() -> None:
    path = shared_file("gsm8k_sample.jsonl")
    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    finals = {" ".join(row["question"].split()): row["answer"].rsplit("#### ")[-1] for row in written}
    for parameters in ({}, {"solution": True}, {"solution": True, "annotations": True}):
        gsm8k = GSM8K(path=str(path), **parameters)  # type: ignore[arg-type]
        train, validation = gsm8k.split("train", None, 0), gsm8k.split("validation", None, 0)
        assert (len(train) + len(validation), gsm8k.skipped) == (len(written), ())
        assert 0.14 < len(validation) / len(written) < 0.26
        assert not {problem.question for problem in train} & {problem.question for problem in validation}
        for problem in [*train, *validation]:
            final = finals[problem.question]
            assert gsm8k.score(problem, problem.answer) == {"exact_match": 1.0}
            assert gsm8k.score(problem, f"It is {final}.") == {"exact_match": 1.0}
            assert gsm8k.score(problem, f"#### {Decimal(final.replace(',', '')) + 1}") == {"exact_match": 0.0}
            assert parameters.get("annotations") or "<<" not in problem.answer
            for start, end, _ in problem.answer_numbers:
                assert re.fullmatch(r"[\d,]*\.?\d+", problem.answer[start:end])


def test_the_problems_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    program = (
        "import sys; from trimtab.data.tasks.gsm8k import GSM8K; t = GSM8K(path=sys.argv[1]);"
        "print([p.prompt for s in ('train', 'validation') for p in t.split(s, 3, 4)], t.identity)"
    )
    path = task(tmp_path)._train.args[0]  # type: ignore[attr-defined]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, path],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert next(iter(outputs)).count("How many") == 6


def test_the_task_can_be_built_from_a_config(tmp_path: Path) -> None:
    path = task(tmp_path)._train.args[0]  # type: ignore[attr-defined]
    config = load_config(
        None, [f"data={{name: task, task: {{name: gsm8k, path: {path}}}, context: 128, size: 3}}", "episode.steps=1"]
    )
    built = REGISTRIES["task"].build(config.data.task.spec)  # type: ignore[union-attr]
    assert isinstance(built, GSM8K)
    assert len(built.split("train", 3, 0)) == 3
