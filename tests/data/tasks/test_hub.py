import os
import socket
from pathlib import Path
from typing import Any

import pytest

from trimtab.config import ConfigError, DataError, load_config
from trimtab.data.tasks import hub
from trimtab.data.tasks.hub import Hub
from trimtab.data.tasks.jsonl import JsonLines

ROWS = [
    {"question": f"What is {n} and {n}?", "answers": {"text": [str(2 * n), f"{2 * n}.0"]}, "id": n} for n in range(40)
]
KEYS: dict[str, Any] = {"prompt_key": "question", "answer_key": "answers.text"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Any attempt to reach a host fails, and is noted."""
    tried: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        tried.append(str(arguments))
        raise OSError("there is no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


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
        train, held = task.split("train", None, 0), task.split("validation", None, 0)
        count = 30 if name in ("both", "tables") else 40
        assert len(train) + len(held) == count + (10 if split else 0)
        assert (len(train), len(held)) == (30, 10) if split else len(held) < len(train)
        assert not {problem.question for problem in train} & {problem.question for problem in held}
        problem = held[-1]
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
        ({"dataset": "openai/gsm8k"}, "set `allow_hub: true`, or give the `path`"),
        ({}, "give either `path`, a folder with a data set, or `dataset`"),
        ({"dataset": "a/b", "path": "here", "allow_hub": True}, "give either"),
    ],
)
def test_the_hub_is_not_asked_without_leave(parameters: dict[str, Any], message: str, no_network: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        Hub(**parameters)
    assert message in str(error.value)
    written = ", ".join(f"{key}: {str(value).lower()}" for key, value in parameters.items())
    with pytest.raises(ConfigError) as error:
        load_config(None, [f"data={{name: task, task: {{name: hub{', ' * bool(written)}{written}}}}}"])
    assert message in str(error.value)
    assert not no_network


def test_with_leave_the_hub_is_asked_and_what_fails_is_one_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets  # slow to import: not while tests are collected

    asked: list[Any] = []

    def load(*arguments: Any, **settings: Any) -> Any:
        asked.append((arguments, settings, datasets.config.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")))
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    task = Hub(dataset="a/b", subset="main", revision="v1", allow_hub=True, validation_split="test", **KEYS)
    with pytest.raises(DataError, match=r"The split test of the data set a/b cannot be loaded .*doesn't exist"):
        task.split("train", None, 0)
    ((arguments, settings, offline, variable),) = asked
    assert arguments == ("a/b", "main")
    assert (settings["split"], settings["revision"]) == ("test", "v1")
    assert (offline, variable) == (False, None)


def test_a_user_who_is_offline_stays_so_and_nothing_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, saved: Path
) -> None:
    import datasets  # slow to import: not while tests are collected

    seen: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: seen.append(datasets.config.HF_HUB_OFFLINE) or 1 / 0)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # a test before this one may have read a pretrained model
    before = dict(os.environ), datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ZeroDivisionError):
        Hub(dataset="a/b", allow_hub=True, **KEYS).split("train", None, 0)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(ZeroDivisionError):
        Hub(path=str(saved / "lines"), **KEYS).split("train", None, 0)
    assert seen == [True, True]
    assert (dict(os.environ), datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"path": "nowhere"}, "There is no folder"),
        ({"path": "both", "train_split": "dev"}, "no split 'dev'; it has train, test"),
        ({"path": "tables", "train_split": "dev"}, "The split dev of the data set"),
        ({"path": "lines", "subset": "fancy"}, "cannot be loaded"),
        ({"path": "empty"}, "cannot be loaded"),
        ({"path": "damaged"}, "cannot be loaded"),
        ({"path": "one", "prompt_key": "prompt", "answer_key": "answer"}, "has the columns question, answers, id"),
        ({"path": "one", "answer_key": "answers.words"}, "row 0: it has no 'answers.words'"),
    ],
)
def test_what_cannot_be_read_is_one_paragraph(saved: Path, parameters: dict[str, Any], message: str) -> None:
    (saved / "empty").mkdir(exist_ok=True)
    (saved / "damaged").mkdir(exist_ok=True)
    (saved / "damaged" / "train.jsonl").write_bytes(b'{"question": "a"}\n{"question": \n')
    place = str(saved / parameters.pop("path"))
    with pytest.raises(DataError) as error:
        Hub(path=place, **{**KEYS, **parameters}).split("train", None, 0)
    assert message in str(error.value)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'trimtab\[tasks\]'"):
        Hub(path="here")
