import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.tasks.shared import shared_file
from tests.memory.pairs.files import source, write_json
from trimtab.config import DataError

TASK: dict[str, Any] = {
    "train": [
        {"input": [[0, 1], [1, 0]], "output": [[1, 0], [0, 1]]},
        {"input": [[2]], "output": [[3, 3, 3]]},
    ],
    "test": [{"input": [[5, 5]], "output": [[6], [6]]}, {"input": [[7]], "output": [[8]]}],
}


def folder(path: Path, **tasks: Any) -> str:
    path.mkdir()
    for name, task in tasks.items():
        write_json(path / f"{name}.json", task)
    return str(path)


@pytest.mark.parametrize(
    ("demonstrations", "question"),
    [
        ("all", "01\n10\n=\n10\n01\n\n2\n=\n333\n\n55\n="),
        (2, "01\n10\n=\n10\n01\n\n2\n=\n333\n\n55\n="),
        (9, "01\n10\n=\n10\n01\n\n2\n=\n333\n\n55\n="),
        (1, "01\n10\n=\n10\n01\n\n55\n="),
        ("none", "55\n="),
    ],
)
def test_each_test_input_of_a_task_is_a_pair(tmp_path: Path, demonstrations: Any, question: str) -> None:
    arc = source("arc", path=folder(tmp_path / "tasks", abc=TASK), demonstrations=demonstrations)
    by_id = {pair.id: pair for pair in arc.read(None, 0).pairs}
    assert set(by_id) == {"abc_0", "abc_1"}
    assert (by_id["abc_0"].question, by_id["abc_0"].answer) == (question, "6\n6")
    assert (by_id["abc_1"].answer, by_id["abc_1"].exact) == ("8", True)
    assert by_id["abc_1"].metadata == {"task": "abc", "test": 1, "demonstrations": question.count("=") - 1}


@pytest.mark.parametrize("demonstrations", [0, -1, "some", True, 1.5])
def test_an_invalid_number_of_demonstrations_is_refused(demonstrations: Any) -> None:
    with pytest.raises(ValueError, match="demonstrations"):
        source("arc", path="tasks", demonstrations=demonstrations)


def test_a_folder_a_combined_file_and_a_single_task_give_the_same_pairs(tmp_path: Path) -> None:
    other = {**TASK, "test": [{"input": [[9]], "output": [[9]]}]}
    one = source("arc", path=folder(tmp_path / "tasks", abc=TASK, xyz=other)).read(None, 0)
    both = source("arc", path=write_json(tmp_path / "all.json", {"xyz": other, "abc": TASK})).read(None, 0)
    assert one == both
    single = source("arc", path=str(tmp_path / "tasks" / "abc.json")).read(None, 0)
    assert all(pair in one.pairs for pair in single.pairs)
    assert len(single.pairs) == 2


def test_solutions_can_be_in_a_separate_file(tmp_path: Path) -> None:
    challenge = {**TASK, "test": [{"input": test["input"]} for test in TASK["test"]]}
    challenges = write_json(tmp_path / "challenges.json", {"abc": challenge})
    solutions = write_json(tmp_path / "solutions.json", {"abc": [test["output"] for test in TASK["test"]]})
    pairs = source("arc", path=challenges, solutions_path=solutions).read(None, 0)
    assert pairs == source("arc", path=write_json(tmp_path / "all.json", {"abc": TASK})).read(None, 0)
    with pytest.raises(DataError, match=r"challenges\.json: abc: test\[0\] has no 'output'.*`pairs\.solutions_path`"):
        source("arc", path=challenges).read(None, 0)
    with pytest.raises(DataError, match=r"does not exist.*`pairs\.solutions_path`"):
        source("arc", path=challenges, solutions_path=str(tmp_path / "none.json")).read(None, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"train": None}, "train is null where a list is needed"),
        ({"train": [5]}, "train[0] is a number where an object is needed"),
        ({"train": [{"input": [[1]]}]}, "it has no 'output'"),
        ({"test": [{"input": [[1, 2], [3]], "output": [[1]]}]}, "test[0].input has rows of different lengths (2, 1)"),
        (
            {"test": [{"input": [[1, 10]], "output": [[1]]}]},
            "test[0].input[0][1] is 10 where a digit from 0 to 9 is needed",
        ),
        ({"test": [{"input": [[1]], "output": [[True]]}]}, "test[0].output[0][0] is True where a digit"),
        ({"test": [{"input": [[1]], "output": [[1.0]]}]}, "test[0].output[0][0] is 1.0 where a digit"),
        ({"test": [{"input": [[1]], "output": [1]}]}, "test[0].output[0] is a number where a list is needed"),
        ({"test": [{"input": "1", "output": [[1]]}]}, "test[0].input is text where a list is needed"),
    ],
)
def test_an_invalid_task_is_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = folder(tmp_path / "tasks", abc=TASK, bad={**TASK, **change})
    with pytest.raises(DataError) as error:
        source("arc", path=path).read(None, 0)
    assert str(error.value).startswith(f"{path}/bad.json: {reason}")
    reading = source("arc", path=path, on_bad_row="skip").read(None, 0)
    assert {pair.id for pair in reading.pairs} == {"abc_0", "abc_1"}
    assert reading.skipped[0].startswith(f"{path}/bad.json: {reason}")


def test_pairs_with_empty_grids_are_skipped(tmp_path: Path) -> None:
    tests = [{"input": [[1]], "output": grid} for grid in ([], [[]], [[2]])]
    path = folder(tmp_path / "tasks", abc={**TASK, "test": tests})
    reading = source("arc", path=path).read(None, 0)
    assert [pair.id for pair in reading.pairs] == ["abc_2"]
    assert reading.skipped == tuple(f"{path}/abc.json: test[{index}].output is empty" for index in range(2))


def test_files_that_are_not_tasks_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "tasks", abc=TASK)
    (tmp_path / "tasks" / "bad.json").write_text("{\n,")
    (tmp_path / "tasks" / "read me.txt").write_text("not read")
    with pytest.raises(DataError, match=r"bad\.json: it is not valid JSON \(.*, line 2, column 1\)"):
        source("arc", path=path).read(None, 0)
    reading = source("arc", path=path, on_bad_row="skip").read(None, 0)
    assert (len(reading.pairs), len(reading.skipped)) == (2, 1)
    with pytest.raises(DataError, match=r"The folder .* contains no \.json file"):
        source("arc", path=folder(tmp_path / "empty")).read(None, 0)
    with pytest.raises(
        DataError, match=r"list\.json: it is a list where an object is needed\. Name a folder of ARC-AGI's"
    ):
        source("arc", path=write_json(tmp_path / "list.json", [TASK])).read(None, 0)
    with pytest.raises(DataError, match=r"odd\.json: abc: it is a number where a task is needed"):
        source("arc", path=write_json(tmp_path / "odd.json", {"abc": 3})).read(None, 0)


def test_links_out_of_the_folder_and_pipes_are_refused(tmp_path: Path) -> None:
    outside = write_json(tmp_path / "outside.json", TASK)
    path = folder(tmp_path / "tasks", abc=TASK)
    (tmp_path / "tasks" / "linked.json").symlink_to(outside)
    with pytest.raises(
        DataError, match=r"linked\.json: it is a link to a file outside the folder; replace it by a copy"
    ):
        source("arc", path=path).read(None, 0)
    reading = source("arc", path=path, on_bad_row="skip").read(None, 0)
    assert (len(reading.pairs), len(reading.skipped)) == (2, 1)
    os.mkfifo(tmp_path / "tasks" / "pipe.json")
    with pytest.raises(DataError, match=r"pipe\.json cannot be read \(it is a FIFO, not a regular file\)"):
        source("arc", path=path, on_bad_row="skip").read(None, 0)
    linked = tmp_path / "linked.json"
    linked.symlink_to(outside)
    assert len(source("arc", path=str(linked)).read(None, 0).pairs) == 2, "a file named directly may be a link"


def test_a_duplicate_key_is_named_with_its_file(tmp_path: Path) -> None:
    path = folder(tmp_path / "tasks", abc=TASK)
    (tmp_path / "tasks" / "twice.json").write_text('{"train": [], "test": [], "train": []}')
    with pytest.raises(DataError, match=r"twice\.json: an object in it has the key 'train' twice"):
        source("arc", path=path).read(None, 0)


def test_real_tasks_are_read_completely() -> None:
    path = shared_file("arc_agi_1_sample")
    tasks = {file.stem: json.loads(file.read_text()) for file in path.iterdir()}
    for demonstrations in ("all", "none", 2):
        reading = source("arc", path=str(path), demonstrations=demonstrations).read(None, 0)
        assert len(reading.pairs) == sum(len(task["test"]) for task in tasks.values())
        for pair in reading.pairs:
            task = tasks[pair.metadata["task"]]
            test = task["test"][pair.metadata["test"]]
            grids = [[[int(cell) for cell in row] for row in part.split("\n")] for part in pair.answer.split("\n\n")]
            assert grids == [test["output"]]
            *shown, last = pair.question.split("\n\n")
            assert [[int(cell) for cell in row] for row in last.removesuffix("\n=").split("\n")] == test["input"]
            count = {"all": len(task["train"]), "none": 0}.get(str(demonstrations), 2)
            assert len(shown) == count
