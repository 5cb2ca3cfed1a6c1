import csv
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from trimtab.config import ConfigError, DataError
from trimtab.data.tasks.hub import Hub
from trimtab.data.tasks.hub import task as hub_task
from trimtab.data.tasks.jsonl import JsonLines
from trimtab.training.config import load_config

ROWS = [
    {"question": f"What is {n} and {n}?", "answers": {"text": [str(2 * n), f"{2 * n}.0"]}, "id": n} for n in range(40)
]
KEYS: dict[str, Any] = {"prompt_key": "question", "answer_key": "answers.text"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes every attempt to reach a host fail, and records it."""
    attempts: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        attempts.append(str(arguments))
        raise OSError("there is no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return attempts


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import datasets  # slow to import: not while tests are collected

    folder = tmp_path_factory.mktemp("sets")
    datasets.disable_progress_bars()
    whole = datasets.Dataset.from_list(ROWS)
    whole.save_to_disk(folder / "one")
    datasets.DatasetDict({"train": whole.select(range(30)), "test": whole.select(range(30, 40))}).save_to_disk(
        folder / "both"
    )
    for name in ("lines", "tables"):
        (folder / name).mkdir()
    whole.to_json(folder / "lines" / "train.jsonl")
    whole.select(range(30, 40)).to_parquet(folder / "tables" / "test.parquet")
    whole.select(range(30)).to_parquet(folder / "tables" / "train.parquet")
    return folder


@pytest.mark.parametrize(
    ("name", "splits"), [("one", (None,)), ("both", (None, "test")), ("lines", (None,)), ("tables", (None, "test"))]
)
def test_a_folder_is_read_without_the_network(
    saved: Path, name: str, splits: tuple[str | None, ...], no_network: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for split in splits:
        task = Hub(path=str(saved / name), validation_split=split, **KEYS)
        train, validation = task.split("train", None, 0), task.split("validation", None, 0)
        count = 30 if name in ("both", "tables") else 40
        assert len(train) + len(validation) == count + (10 if split else 0)
        assert (len(train), len(validation)) == (30, 10) if split else len(validation) < len(train)
        assert not {problem.question for problem in train} & {problem.question for problem in validation}
        problem = validation[-1]
        assert [
            task.score(problem, text)["exact_match"] for text in (problem.answer, "It", problem.accepted[1][0])
        ] == [1, 0, 1]
    assert not no_network
    assert capfd.readouterr() == ("", "")


def test_the_same_rows_are_the_same_data_as_from_a_file(saved: Path) -> None:
    lines = JsonLines(path=str(saved / "lines" / "train.jsonl"), **KEYS)
    disk = Hub(path=str(saved / "one"), **KEYS)
    assert disk.split("train", None, 0) == lines.split("train", None, 0)
    assert disk.identity["sha256"] == lines.identity["sha256"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dataset": "openai/gsm8k"}, "set `allow_hub: true`, or set `path`"),
        ({}, "set either `path`, a folder with a data set, or `dataset`"),
        ({"dataset": "a/b", "path": "here", "allow_hub": True}, "set either"),
    ],
)
def test_without_allow_hub_a_hub_data_set_is_refused(
    parameters: dict[str, Any], message: str, no_network: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        Hub(**parameters)
    assert message in str(error.value)
    written = ", ".join(f"{key}: {str(value).lower()}" for key, value in parameters.items())
    with pytest.raises(ConfigError) as error:
        load_config(None, [f"data={{name: task, task: {{name: hub{', ' * bool(written)}{written}}}}}"])
    assert message in str(error.value)
    assert not no_network


def test_with_allow_hub_the_library_is_online_and_its_failure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets  # slow to import: not while tests are collected

    calls: list[Any] = []

    def load(*arguments: Any, **settings: Any) -> Any:
        calls.append((arguments, settings, datasets.config.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")))
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    task = Hub(dataset="a/b", subset="main", revision="v1", allow_hub=True, validation_split="test", **KEYS)
    with pytest.raises(DataError, match=r"The split test of the data set a/b cannot be loaded: .*doesn't exist"):
        task.split("train", None, 0)
    ((arguments, settings, offline, variable),) = calls
    assert arguments == ("a/b", "main")
    assert settings["revision"] == "v1"
    assert (offline, variable) == (False, None)


def test_the_library_stays_offline_if_the_user_is_and_its_settings_are_restored(
    monkeypatch: pytest.MonkeyPatch, saved: Path
) -> None:
    import datasets  # slow to import: not while tests are collected

    offline: list[Any] = []

    def stop(*_: Any, **__: Any) -> Any:
        offline.append(datasets.config.HF_HUB_OFFLINE)
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load_dataset_builder", stop)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # a test before this one may have read a pretrained model
    before = dict(os.environ), datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(KeyboardInterrupt):
        Hub(dataset="a/b", allow_hub=True, **KEYS).split("train", None, 0)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(KeyboardInterrupt):
        Hub(path=str(saved / "lines"), **KEYS).split("train", None, 0)
    assert offline == [True, True]
    assert (dict(os.environ), datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"path": "nowhere"}, "There is no folder"),
        ({"path": "both", "train_split": "dev"}, "no split 'dev'; it has train, test"),
        ({"path": "tables", "train_split": "dev"}, "The split dev of the data set"),
        ({"path": "lines", "subset": "fancy"}, "cannot be loaded"),
        ({"path": "empty"}, "cannot be loaded"),
        ({"path": "damaged"}, "line 2: it is not valid JSON"),
        ({"path": "one", "prompt_key": "prompt", "answer_key": "answer"}, "has the columns question, answers, id"),
        ({"path": "one", "answer_key": "answers.words"}, "row 0: it has no 'answers.words'"),
    ],
)
def test_what_cannot_be_read_is_one_paragraph(saved: Path, parameters: dict[str, Any], message: str) -> None:
    (saved / "empty").mkdir(exist_ok=True)
    (saved / "damaged").mkdir(exist_ok=True)
    (saved / "damaged" / "train.jsonl").write_bytes(b'{"question": "a", "answers": {"text": "b"}}\n{"question": \n')
    path = str(saved / parameters.pop("path"))
    with pytest.raises(DataError) as error:
        Hub(path=path, **{**KEYS, **parameters}).split("train", None, 0)
    assert message in str(error.value)


CELLS = [
    "00001",
    "1.50",
    "1e3",
    "NA",
    "null",
    "None",
    "nan",
    "True",
    "2024-01-02",
    "9" * 30,
    "=1+1",
    "1,5",
    ' a "b" ',
    "١",
]


def write_table(path: Path, answers: list[str], **more: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, **more)
        rows.writerow(["question", "answer"])
        rows.writerows([f"What is {number}?", answer] for number, answer in enumerate(answers))
    return path.parent


def answers_of(folder: Path, **more: Any) -> list[str]:
    task = Hub(path=str(folder), prompt_key="question", **more)
    problems = task.split("train", None, 0) + task.split("validation", None, 0)
    return [problem.answer for problem in sorted(problems, key=lambda problem: int(problem.prompt[8:-2]))]


def test_a_table_keeps_its_cells_as_they_are_written(tmp_path: Path) -> None:
    expected = [cell.strip() for cell in CELLS * 3]
    assert answers_of(write_table(tmp_path / "commas" / "train.csv", CELLS * 3)) == expected
    assert answers_of(write_table(tmp_path / "tabs" / "train.tsv", CELLS * 3, delimiter="\t")) == expected
    assert answers_of(write_table(tmp_path / "quoted" / "train.csv", CELLS * 3, quoting=csv.QUOTE_ALL)) == expected


@pytest.mark.parametrize("name", ["train.jsonl", "train.json"])
def test_text_in_json_stays_text(tmp_path: Path, name: str) -> None:
    rows = [{"question": f"What is {number}?", "answer": answer} for number, answer in enumerate(CELLS * 3)]
    content = json.dumps(rows, indent=1) if name == "train.json" else "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / name).write_text(content)
    assert answers_of(tmp_path) == [cell.strip() for cell in CELLS * 3]


@pytest.mark.parametrize("name", ["train.jsonl", "train.json"])
def test_numbers_in_json_stay_as_they_are_written(tmp_path: Path, name: str) -> None:
    numbers = ["1.10", "1e2", "3.14159265358979323846", "100000000000000000000.0", "-0", "12"] * 5
    rows = [f'{{"question": "What is {n}?", "answer": {number}}}' for n, number in enumerate(numbers)]
    (tmp_path / name).write_text(f"[{','.join(rows)}]" if name == "train.json" else "\n".join(rows))
    assert answers_of(tmp_path) == numbers


def test_short_floats_of_a_column_are_as_short_in_answers(tmp_path: Path) -> None:
    import datasets  # slow to import: not while tests are collected

    kind = datasets.Value("float32")
    features = datasets.Features({"question": datasets.Value("string"), "answer": kind, "all": {"text": [kind]}})
    rows = [{"question": f"What is {n}?", "answer": n + 0.1, "all": {"text": [n + 0.1, 0.3]}} for n in range(30)]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "train.parquet")
    assert answers_of(tmp_path) == [f"{n}.1" for n in range(30)]
    task = Hub(path=str(tmp_path), prompt_key="question", answer_key="all.text")
    assert task.split("train", 1, 0)[0].accepted[1][0] == "0.3"


def test_gaps_and_levels_of_a_table(tmp_path: Path) -> None:
    rows = [f"What is {number}?,{number:03d},{'x' if number % 2 else ''},{number},0.5" for number in range(30)]
    (tmp_path / "train.csv").write_text(
        "\n".join(["question,answer,also,level,doubt", *rows, "", "What is 30?,,x,1,0.5"])
    )
    keys = {"accepted_key": "also", "level_key": "level", "uncertainty_key": "doubt"}
    with pytest.raises(DataError, match=r"train\.csv, line 33: 'answer' is empty"):
        answers_of(tmp_path, **keys)
    assert answers_of(tmp_path, on_bad_row="skip", **keys) == [f"{number:03d}" for number in range(30)]
    task = Hub(path=str(tmp_path), prompt_key="question", on_bad_row="skip", **keys)
    for problem in task.split("train", None, 0):
        assert problem.level == int(problem.answer)
        assert len(problem.accepted) == (2 if problem.level % 2 else 0)
        assert problem.uncertainty == 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("question,answer,answer\na,b,c\n", "has the column 'answer' more than once"),
        (
            "question;answer\na;b\n",
            "its columns are separated by semicolons, but Trimtab expects commas. Save the table with",
        ),
        ("Question;prompt;answer\na;b\n", "its columns are separated by semicolons"),
        ("question answer\na b\n", "its columns are separated by spaces"),
        ("sep=;\nquestion;answer\n", "its first line, sep=;, is a note for Excel"),
        ("\xff\xfeq\0", "it is in UTF-16 (its first bytes are ff fe)"),
        (
            "question,answer\na;b\n",
            "line 2: it has 1 cells, but the header has 2 columns. They are separated by semicolons",
        ),
        ("question,answer\na,b,c\n", "line 2: it has 3 cells, but the header has 2 columns"),
        ("question,answer\na\n", "line 2: it has 1 cells"),
        ('question,answer\na,"b\n', "line 2: it is not a line of CSV (unexpected end of data)"),
        ("question,answer\na,b\xe9\n", "line 2: it has the byte 0xe9, which is not UTF-8"),
        ("prompt,answer\na,b\n", "line 2: it has no 'question'; it has 'prompt', 'answer'"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "train.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError) as error:
        answers_of(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "train.csv"))
    assert message in str(error.value)


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "a", "question": "b", "answer": "c"}\n')
    with pytest.raises(DataError, match=r"line 1: an object in it has the key 'question' twice"):
        answers_of(tmp_path)


def test_nothing_outside_the_folder_is_read(tmp_path: Path, saved: Path) -> None:
    outside = write_table(tmp_path / "outside" / "train.csv", CELLS)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.csv").symlink_to(outside / "train.csv")
    with pytest.raises(DataError, match=r"train\.csv is a link to a file outside the data folder"):
        answers_of(folder)
    (folder / "train.csv").unlink()
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: ../outside/train.csv\n---\n"
    )
    with pytest.raises(
        DataError, match=r"names the data .*outside/train\.csv. under `data_files`, which is outside the folder"
    ):
        answers_of(folder)
    shutil.copytree(saved / "one", tmp_path / "copy")
    state = json.loads((tmp_path / "copy" / "state.json").read_text())
    state["_data_files"] = [{"filename": f"../../{saved.name}/one/data-00000-of-00001.arrow"}]
    (tmp_path / "copy" / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match=r"state\.json names '\.\./.*', which is not a file in the same folder"):
        Hub(path=str(tmp_path / "copy"), **KEYS).split("train", None, 0)


@pytest.mark.parametrize("name", ["train.csv", "README.md", "state.json", "more.parquet"])
def test_a_pipe_in_the_folder_is_refused_at_once(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / "train.jsonl", CELLS)
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name} is neither a regular file nor a folder"):
        answers_of(tmp_path)


def test_files_of_other_kinds_and_damaged_tables_are_one_paragraph(
    tmp_path: Path, saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("tables/train.parquet", "one/data-00000-of-00001.arrow", "one/state.json", "both/dataset_dict.json"):
        for kept in (2, 0, 1 if name.endswith("json") else 0.5):
            folder = tmp_path / "damaged"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(saved / name.partition("/")[0], folder)
            file = folder / name.partition("/")[2]
            file.write_bytes(b"[]"[:kept] if kept in (1, 2) else file.read_bytes()[: int(kept * file.stat().st_size)])
            with pytest.raises(DataError):
                Hub(path=str(folder), **KEYS).split("train", None, 0)
    assert capfd.readouterr() == ("", "")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.txt").write_text("a\nb\n")
    with pytest.raises(
        DataError, match=r"train\.txt has an unsupported format: a data folder contains \.csv, \.tsv, \.json"
    ):
        answers_of(tmp_path / "text")


def test_text_files_of_a_hub_data_set_are_read_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets  # slow to import: not while tests are collected

    folder = write_table(tmp_path / "set" / "train.csv", CELLS * 3)
    local = datasets.load_dataset_builder
    monkeypatch.setattr(
        datasets, "load_dataset_builder", lambda *_, cache_dir, **__: local(str(folder), cache_dir=cache_dir)
    )
    task = Hub(dataset="a/b", allow_hub=True, prompt_key="question")
    answers = [problem.answer for split in ("train", "validation") for problem in task.split(split, None, 0)]
    assert sorted(answers) == sorted(cell.strip() for cell in CELLS * 3)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_task, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'trimtab\[tasks\]'"):
        Hub(path="here")
