"""Untrusted data folders whose cards name data outside the folder."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trimtab.config import DataError
from trimtab.data.tasks.hub import Hub
from trimtab.data.tasks.hub.folder import check_folder
from trimtab.data.tasks.hub.library import library

OUTSIDE: list[Any] = [
    "{url}",
    "zip://evil.csv::{url}",
    "simplecache::{url}",
    ["train.csv", "{url}"],
    [{"split": "train", "path": "{url}"}],
    [{"split": "train", "path": "train.csv"}, {"split": "test", "path": ["{url}"]}],
    {"train": "train.csv", "test": ["{url}"]},
    "data:text/csv,question",
    "../outside/*.csv",
    "data/../../outside/x.csv",
    "/etc/*.csv",
    "~/x.csv",
    "file:///etc/x.csv",
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        yield server


def url_of(listener: socket.socket) -> str:
    return f"ftp://127.0.0.1:{listener.getsockname()[1]}/x.csv"


def has_connection(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def folder_of(folder: Path, configs: object, name: str = "README.md") -> Path:
    (folder / "data").mkdir(parents=True)
    rows = "".join(f"What is {number}?,{number}\n" for number in range(30))
    (folder / "train.csv").write_text(f"question,answer\n{rows}")
    fence = "---\n" if name.endswith(".md") else ""
    (folder / name).write_text(f"{fence}configs: {json.dumps(configs)}\n{fence}")
    return folder


def problems_of(folder: Path) -> int:
    task = Hub(path=str(folder), prompt_key="question")
    return len(task.split("train", None, 0)) + len(task.split("validation", None, 0))


@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize("data_files", OUTSIDE, ids=json.dumps)
def test_a_card_that_names_data_outside_the_folder_is_refused_without_a_connection(
    tmp_path: Path, listener: socket.socket, data_files: object, name: str
) -> None:
    text = json.dumps([{"config_name": "default", "data_files": data_files}]).replace("{url}", url_of(listener))
    folder = folder_of(tmp_path / "set", json.loads(text), name)
    with pytest.raises(DataError, match=r"names the data .* under `data_files`, which is outside the folder"):
        problems_of(folder)
    assert not has_connection(listener)


@pytest.mark.parametrize("data_dir", ["{url}", "..", "/etc", "data/../.."])
def test_a_data_dir_outside_the_folder_is_refused(tmp_path: Path, listener: socket.socket, data_dir: str) -> None:
    path = data_dir.replace("{url}", url_of(listener))
    folder = folder_of(tmp_path / "set", [{"config_name": "default", "data_dir": path}])
    with pytest.raises(DataError, match="under `data_dir`, which is outside the folder"):
        problems_of(folder)
    assert not has_connection(listener)


def test_unused_configs_of_a_card_are_checked_too(tmp_path: Path, listener: socket.socket) -> None:
    configs = [
        {"config_name": "default", "data_files": "train.csv"},
        {"config_name": "b", "data_files": url_of(listener)},
    ]
    with pytest.raises(DataError, match="outside the folder"):
        problems_of(folder_of(tmp_path / "set", configs))
    assert not has_connection(listener)


def test_the_library_itself_opens_no_connection_for_a_local_folder(tmp_path: Path, listener: socket.socket) -> None:
    folder = folder_of(tmp_path / "set", [{"config_name": "default", "data_files": url_of(listener)}])
    with library(False):
        import datasets

        with pytest.raises(ValueError, match="only local files are read"):
            datasets.load_dataset_builder(str(folder), cache_dir=str(tmp_path / "cache"))
    assert not has_connection(listener)


@pytest.mark.parametrize(
    "data_files", ["train.csv", ["train.csv"], [{"split": "train", "path": "tr*.csv"}], "./train.csv"]
)
def test_a_card_that_names_files_of_the_folder_selects_them(tmp_path: Path, data_files: object) -> None:
    assert problems_of(folder_of(tmp_path / "set", [{"config_name": "default", "data_files": data_files}])) == 30


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("configs: 5", "`configs` is a number where a list is needed"),
        ("configs: [5]", "an entry of `configs` is not a mapping with text under `config_name`"),
        ("configs: [{config_name: 5}]", "an entry of `configs` is not a mapping with text under `config_name`"),
        ("configs: [{config_name: a, data_files: 5}]", "`data_files` contains a number where text is needed"),
        ("configs: [{config_name: a, data_dir: [data]}]", "`data_dir` is a list where text is needed"),
        ("configs: [{config_name: a, data_files: }]", "`data_files` contains null where text is needed"),
        (
            "configs: [{config_name: a, data_files: [{split: 5, path: train.csv}]}]",
            "`data_files` contains a number where text is needed",
        ),
        ("configs: [", "it is not valid YAML"),
        ("- 5", "its YAML is a list where a mapping is needed"),
        ("a: !!python/name:os.system x", "it is not valid YAML"),
        ("x: " + "[" * 20_000, "it is not valid YAML"),
        (
            "\n".join(["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]),
            "it contains more than 1,000,000 values",
        ),
    ],
)
def test_a_card_that_cannot_be_read_is_reported_with_the_reason(tmp_path: Path, head: str, message: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n")
    with pytest.raises(DataError) as error:
        check_folder(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'README.md'}: {message}")


def test_a_path_with_a_double_colon_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv.y::ftp").touch()
    with pytest.raises(DataError, match="The name of .* contains ::"):
        check_folder(tmp_path)
    (tmp_path / "x.csv.y::ftp").rename(tmp_path / "x.csv")
    check_folder(tmp_path)
    (inner := tmp_path / "a::b").mkdir()
    with pytest.raises(DataError, match="The path .* contains ::"):
        check_folder(inner)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sep": "xx"}, "`sep` is 'xx' where one character is needed"),
        ({"sep": 5}, "`sep` is a number where one character is needed"),
        ({"sep": ""}, "`sep` is '' where one character is needed"),
        ({"sep": None}, "`sep` is null where one character is needed"),
        ({"sep": "\n"}, r"`sep` is '\x0a' where one character is needed"),
        ({"sep": '"'}, "`sep` is '\"' where one character is needed"),
        ({"delimiter": [","]}, "`delimiter` is a list where one character is needed"),
        ({"quotechar": "'"}, "sets `quotechar`, which is not supported"),
        ({"encoding": "latin-1"}, "sets `encoding`, which is not supported"),
        ({"skiprows": 3}, "sets `skiprows`, which is not supported"),
        ({"column_names": ["question", "answer"]}, "sets `column_names`, which is not supported"),
    ],
)
def test_invalid_and_unsupported_settings_of_a_table_are_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    folder = folder_of(tmp_path / "set", [{"config_name": "default", "data_files": "train.csv", **settings}])
    with pytest.raises(DataError) as error:
        problems_of(folder)
    assert str(error.value).startswith(str(folder / "README.md"))
    assert message in str(error.value)


@pytest.mark.parametrize("settings", [{"sep": "|"}, {"delimiter": "|"}, {"sep": "|", "encoding": "utf-8", "header": 0}])
def test_supported_settings_of_a_table_are_used(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = folder_of(tmp_path / "set", [{"config_name": "default", "data_files": "train.csv", **settings}])
    (folder / "train.csv").write_text((folder / "train.csv").read_text().replace(",", "|"))
    assert problems_of(folder) == 30


@pytest.mark.parametrize("field", [5, ["rows"], True])
def test_a_field_setting_that_is_not_text_is_refused(tmp_path: Path, field: object) -> None:
    folder = folder_of(tmp_path / "set", [{"config_name": "default", "data_files": "train.json", "field": field}])
    (folder / "train.json").write_text(json.dumps({"rows": [{"question": "a", "answer": "b"}]}))
    with pytest.raises(DataError, match=r"README\.md: `field` is .* where text is needed, the key of the list of rows"):
        problems_of(folder)


def test_an_error_for_settings_that_the_library_refuses_names_their_file(tmp_path: Path) -> None:
    configs = [{"config_name": "default", "data_files": "train.csv", "features": "x"}]
    with pytest.raises(DataError, match=r"cannot be loaded: .* Check the settings in .*README\.md, and `data\.task`"):
        problems_of(folder_of(tmp_path / "set", configs))
