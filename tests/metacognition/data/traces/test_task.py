"""The task `traces`, and the data that it makes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.metacognition.data.traces.published import glaive, openr1, openthoughts, write_jsonl, write_parquet
from tests.metacognition.models import CLOSE, OPEN, TOKENIZER
from trimtab.config import REGISTRIES
from trimtab.data import IGNORE
from trimtab.errors import DataError
from trimtab.metacognition.data.build import thinking_data
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.traces import Traces

ROWS = [glaive(number) for number in range(40)]


def data(task: Any, **options: Any) -> Any:
    return thinking_data(tokenizer=TOKENIZER, task=task, context=200, **options)


def test_one_file_is_split_by_the_hashes_of_its_questions(tmp_path: Path) -> None:
    task = Traces(path=write_jsonl(tmp_path / "a.jsonl", ROWS))
    train, validation = (task.split(split, None, 0) for split in ("train", "validation"))  # type: ignore[arg-type]
    assert len(train) + len(validation) == 40 and 2 <= len(validation) <= 16
    assert not {one.question for one in train} & {one.question for one in validation}
    first = train[0]
    assert isinstance(first, ThoughtProblem) and first.thought.startswith("Step") and first.prompt.endswith("?\n")


def test_lines_lists_and_tables_give_the_same_problems(tmp_path: Path) -> None:
    rows = [openr1(number) for number in range(30)]
    (tmp_path / "b.json").write_text(json.dumps(rows))
    paths = [
        write_jsonl(tmp_path / "a.jsonl", rows),
        str(tmp_path / "b.json"),
        write_parquet(tmp_path / "c.parquet", rows),
    ]
    tasks = [Traces(path=path) for path in paths]
    assert len({json.dumps(task.identity) for task in tasks}) == 1
    assert [task.split("train", None, 0) for task in tasks[1:]] == [tasks[0].split("train", None, 0)] * 2


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    write_jsonl(folder / "a.jsonl", ROWS[:10])
    write_parquet(folder / "more" / "b.parquet", ROWS[10:])
    (folder / "README.md").write_text("about the data")
    assert Traces(path=str(folder)).identity == Traces(path=write_jsonl(tmp_path / "all.jsonl", ROWS)).identity


def test_a_validation_file_keeps_its_questions_out_of_training(tmp_path: Path) -> None:
    task = Traces(
        path=write_jsonl(tmp_path / "a.jsonl", ROWS),
        validation_path=write_jsonl(tmp_path / "b.jsonl", [*ROWS[:5], openthoughts(1)]),
    )
    assert (len(task.split("train", None, 0)), len(task.split("validation", None, 0))) == (35, 6)
    assert sum("also in the validation split" in reason for reason in task.skipped) == 5


MIXED = [
    *ROWS,
    glaive(90, response="<think>a"),
    glaive(91, response="<think>a"),
    glaive(92, response="plain"),
    glaive(93, response="<think>a</think>"),
    glaive(94, response="<think>a<think>b</think>c"),
    openr1(95, correctness_math_verify=[False] * 3),
]


def test_rows_left_out_are_counted_in_the_report(tmp_path: Path) -> None:
    task = Traces(path=write_jsonl(tmp_path / "a.jsonl", MIXED))
    report = data(task).report
    expected = {"no_answer": 1, "no_closer": 2, "no_thought": 1, "not_verified": 1, "several_openers": 1}
    assert report.to_dict()["left_out"] == expected and len(report.to_dict()["skipped"]) == 6
    assert "left out: 1 no_answer, 2 no_closer, 1 no_thought, 1 not_verified, 1 several_openers" in report.lines()


def test_a_bad_row_is_an_error_or_is_skipped(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [*ROWS, {"question": "?"}])
    with pytest.raises(DataError, match="line 41: it has 'question', but the known schemas"):
        Traces(path=path).split("train", None, 0)
    task = Traces(path=path, on_bad_row="skip")
    assert len(task.skipped) == 1 and not task.left_out


def test_a_thought_that_nothing_closes_is_trained_on_without_an_answer_and_never_validates(tmp_path: Path) -> None:
    opened = [glaive(number, response=f"<think>on and on {number}") for number in range(100, 130)]
    task = Traces(path=write_jsonl(tmp_path / "a.jsonl", [*ROWS, *opened]), no_closer="cut")
    train = task.split("train", None, 0)
    kept = [one for one in train if not one.closed]  # type: ignore[attr-defined]
    assert kept and all(one.closed for one in task.split("validation", None, 0))  # type: ignore[attr-defined]
    assert len(kept) + sum("cannot validate" in reason for reason in task.skipped) == 30
    dataset = data(Traces(path=str(tmp_path / "a.jsonl"), no_closer="cut", line_break=" ")).train
    for cap in (None, 0, 3):
        item = dataset.cut(kept[0], cap)
        ids = item["input_ids"].tolist()
        assert dataset.length(kept[0]) == len(ids) and CLOSE not in ids
        assert TOKENIZER.decode(ids[ids.index(OPEN) + 1 :]) == kept[0].thought  # type: ignore[attr-defined]
        assert item["metadata"]["used"] == item["metadata"]["cap"] == len(kept[0].thought)  # type: ignore[attr-defined]
        assert item["metadata"]["ended"] is False


def test_tags_in_a_prompt_are_never_tags(tmp_path: Path) -> None:
    rows = [glaive(number, prompt=f"What does <think>{number}</think> open?") for number in range(40)]
    dataset = data(Traces(path=write_jsonl(tmp_path / "a.jsonl", rows), line_break=" ")).train
    item = dataset[0]
    ids, labels = item["input_ids"].tolist(), item["labels"].tolist()
    assert (ids.count(OPEN), ids.count(CLOSE)) == (1, 1)
    assert TOKENIZER.decode(ids[: ids.index(OPEN)]) == dataset.problems[0].prompt
    assert set(labels[: ids.index(OPEN) + 1]) == {IGNORE} and labels[ids.index(CLOSE)] == CLOSE


def test_answers_are_scored_by_their_box_and_others_as_normalised_text(tmp_path: Path) -> None:
    task = Traces(path=write_jsonl(tmp_path / "a.jsonl", ROWS))
    mathematical, text = task.problem(openr1(12)), task.problem(glaive(12))
    for response, score in (("Then \\boxed{12.0}", 1.0), ("12", 1.0), ("\\boxed{13} not 12", 0.0), ("", 0.0)):
        assert task.score(mathematical, response) == {"exact_match": score}
    for response, score in (("it is 12", 1.0), ("It is 13.", 0.0), ("\ud800\\boxed{", 0.0)):
        assert task.score(text, response) == {"exact_match": score}
    assert task.final_answer(mathematical, "a \\boxed{ 12 }") == task.final_answer(mathematical, "12")


def test_line_breaks_in_answers_need_a_replacement_where_a_newline_ends_them(tmp_path: Path) -> None:
    rows = [glaive(number, response=f"<think>a\nb</think>one\ntwo {number}") for number in range(40)]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match="has `line_break`"):
        data(Traces(path=path))
    assert data(Traces(path=path, line_break=" ; ")).train.problems[0].thought == "a ; b"


def test_a_path_without_traces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for path, message in (
        (tmp_path / "none.jsonl", "does not exist"),
        (tmp_path, "has no such file"),
        (tmp_path / "a.csv", "unsupported format"),
    ):
        with pytest.raises(DataError, match=message):
            Traces(path=str(path)).split("train", None, 0)
    (tmp_path / "b.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"b\.parquet cannot be read"):
        Traces(path=str(tmp_path / "b.parquet")).split("train", None, 0)


def test_the_task_is_built_by_name_from_its_config(tmp_path: Path) -> None:
    spec = {"name": "traces", "path": write_jsonl(tmp_path / "a.jsonl", ROWS), "row_schema": "glaive"}
    assert isinstance(REGISTRIES["task"].build(spec), Traces)
