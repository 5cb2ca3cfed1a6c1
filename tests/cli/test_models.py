"""`trimtab models`: import, list, ask, export."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.models.pretrained.gguf_files import write_gguf
from trimtab.cli.main import app
from trimtab.config import ConfigError, DataError

runner = CliRunner()


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def call(*arguments: object) -> str:
    result = runner.invoke(app, ["models", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_import_list_and_ask(gguf: Path, home: Path) -> None:
    assert "No model is imported" in call("list")
    assert "model='{name: pretrained, path: tiny}'" in call("import", gguf)
    assert str(home / "models" / "tiny") in call("list")
    (listed,) = json.loads(call("list", "--json"))
    assert (listed["name"], listed["source"]) == ("tiny", "tiny.gguf")
    answers = [json.loads(call("ask", "tiny", "Why?", "--tokens", "5", "--json")) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["tokens"] <= 5
    assert answers[0]["log_probability"] < 0
    assert call("ask", "tiny", "Why?", "--tokens", "5").strip() == answers[0]["answer"].strip()


def test_import_to_a_folder_and_under_a_name(gguf: Path, home: Path, tmp_path: Path) -> None:
    made = json.loads(call("import", gguf, "--out", tmp_path / "here", "--json"))
    assert made["path"] == str(tmp_path / "here")
    call("import", gguf, "--name", "other")
    assert [model["name"] for model in json.loads(call("list", "--json"))] == ["other"]
    assert call("ask", tmp_path / "here", "Why?", "--tokens", "2")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ["import", "smollm3"],
            ConfigError,
            "neither a .gguf file nor a model that Trimtab knows. It knows: smollm2-135m",
        ),
        (["import", "none.gguf"], DataError, "is no .gguf file"),
        (["ask", "none", "Why?"], DataError, "There is no model in none"),
        (["ask", "none", " "], ConfigError, "The question is empty"),
    ],
)
def test_wrong_input_is_named(arguments: list[str], error: type[Exception], message: str, home: Path) -> None:
    with pytest.raises(error, match=message):
        runner.invoke(app, ["models", *arguments], catch_exceptions=False)
