"""A resolved config has absolute paths."""

import os
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.config.base import base, joined
from trimtab.config import FILE_PATH, missing_paths, path_keys
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.memory.config import MemoryConfig
from trimtab.training.config import RunConfig, resolve_config


class Reader:
    """A hook of a user's own that reads a file, and has a parameter that only looks like one."""

    kind = "observe"

    def __init__(
        self,
        *,
        words: Annotated[str, Field(description="a file", json_schema_extra=FILE_PATH)],
        path: str = "an/address",
    ) -> None:
        self.words = words


def made(**data: Any) -> RunConfig:
    return resolve_config(joined(base(), data))


@pytest.mark.parametrize("path", ["my.txt", ["a/b.txt", "../c"]])
def test_a_relative_path_starts_from_the_working_folder(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = made(data={"path": path, "tokenizer": {"name": "file", "path": "t.json"}})
    expected = [f"{tmp_path}/{part}" for part in path] if isinstance(path, list) else f"{tmp_path}/{path}"
    assert config.data.spec["path"] == expected
    assert config.data.tokenizer.spec["path"] == f"{tmp_path}/t.json"
    monkeypatch.chdir("/")
    assert resolve_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("path", [None, "", "/a/b.txt", "~/b.txt"])
def test_other_paths_stay_as_they_are(path: str | None) -> None:
    assert made(data={"path": path}).data.spec["path"] == path


def test_only_the_parameters_that_a_component_marks_are_paths() -> None:
    config = made(hooks=[{"name": "tests.config.test_paths:Reader", "words": "w.txt"}])
    assert config.hooks[0].spec["words"] == f"{Path.cwd()}/w.txt"
    assert config.hooks[0].spec["path"] == "an/address"
    assert path_keys(config) == {"data.path", "hooks.0.words"}


def test_paths_stay_relative_in_a_working_folder_whose_name_is_not_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    monkeypatch.chdir(os.fsdecode(folder))
    assert made(data={"path": "my.txt"}).data.spec["path"] == "my.txt"


def test_a_key_of_the_config_itself_may_name_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = {
        "model": {"name": "pretrained", "path": "model"},
        "pairs": {"name": "jsonl", "path": "pairs.jsonl"},
        "paraphrases": {"path": "wordings.jsonl"},
    }
    config = resolve_root(MemoryConfig, written, Source("memory.yaml"))
    assert config.paraphrases.path == str(tmp_path / "wordings.jsonl")
    assert dict(missing_paths(config)) == {
        "paraphrases.path": str(tmp_path / "wordings.jsonl"),
        "model.path": str(tmp_path / "model"),
        "pairs.path": str(tmp_path / "pairs.jsonl"),
    }
