"""`trimtab models`: import, list, ask, export, merge, verify."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.models.pretrained.gguf_files import write_gguf
from trimtab.cli.commands import app
from trimtab.config import ConfigError, DataError, WorkError
from trimtab.models.pretrained import known_models

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


def test_a_known_model_that_is_there_is_not_imported_again(
    gguf: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("import", gguf)
    card = home / "models" / "tiny" / "trimtab.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "source": "tiny-carrier 1.0"}))
    known = replace(known_models.KNOWN_MODELS["smollm2-135m"], package="tiny-carrier", version="1.0")
    monkeypatch.setitem(known_models.KNOWN_MODELS, "tiny", known)
    assert json.loads(call("import", "tiny", "--json"))["source"] == "tiny-carrier 1.0"
    monkeypatch.setitem(
        known_models.KNOWN_MODELS, "tiny", replace(known, version="2.0")
    )  # a different version is imported
    with pytest.raises(ConfigError, match="exists already"):
        call("import", "tiny")


def test_a_question_longer_than_the_context_is_refused(gguf: Path, home: Path) -> None:
    call("import", gguf)
    with pytest.raises(
        ConfigError, match=r"The question has 419 tokens with .* of tiny, and the model reads 64 at most\. Ask"
    ):
        runner.invoke(app, ["models", "ask", "tiny", "why " * 100], catch_exceptions=False)


def test_one_bad_folder_is_a_line_of_the_list(gguf: Path, home: Path) -> None:
    for name in ("cut", "carded", "tiny"):
        call("import", gguf, "--name", name)
    weights = home / "models" / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:60_000])
    (home / "models" / "cut" / "trimtab.json").unlink()
    (home / "models" / "carded" / "trimtab.json").write_text("[1]")
    carded, cut, tiny = call("list").splitlines()
    assert cut.startswith(f"cut  cannot be used: {weights} is damaged or truncated (")
    assert "trimtab.json holds no mapping" in carded
    assert tiny.startswith("tiny  0.0M parameters")
    listed = json.loads(call("list", "--json"))
    assert [sorted(model) == ["name", "path", "reason"] for model in listed] == [True, True, False]


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
            "neither a .gguf file nor a known model. Known models: smollm2-135m",
        ),
        (["import", "none.gguf"], DataError, "is not a .gguf file"),
        (["ask", "none", "Why?"], DataError, "There is no model in none"),
        (["ask", "none", " "], ConfigError, "The question is empty"),
    ],
)
def test_wrong_input_is_named(arguments: list[str], error: type[Exception], message: str, home: Path) -> None:
    with pytest.raises(error, match=message):
        runner.invoke(app, ["models", *arguments], catch_exceptions=False)


def test_a_run_trains_resumes_and_is_exported(gguf: Path, home: Path, tmp_path: Path) -> None:
    call("import", gguf)
    (tmp_path / "text.txt").write_text("The sum of 12 and 30 is 42.\n" * 200)
    model = "{name: pretrained, path: tiny, recompute: true, adapt: [{name: lora, rank: 4}, {name: norms, lr: 0.1}]}"
    data = f"{{path: {tmp_path / 'text.txt'}, context: 32, tokenizer: {{name: pretrained, path: tiny}}}}"
    settings = [f"model={model}", f"data={data}", "threads=1", "episode.batch_size=4", "episode.optimizer.lr=0.01"]
    settings += ["episode.evaluate_every=4", "episode.checkpoint_every=4", "episode.sample.tokens=4"]
    weights = []
    for steps in (8, 4):
        out = tmp_path / f"run-{steps}"
        options = [part for setting in [*settings, f"episode.steps={steps}"] for part in ("--set", setting)]
        assert runner.invoke(app, ["train", *options, "--out", str(out)], catch_exceptions=False).exit_code == 0
        if steps == 4:
            longer = ["resume", str(out), "--set", "episode.steps=8", "--accept-changes"]
            assert runner.invoke(app, longer, catch_exceptions=False).exit_code == 0
        summary = json.loads((out / "summary.json").read_text())
        rows = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
        assert rows[-1]["val_loss"] < rows[0]["val_loss"]
        weights.append(summary["weights_sha256"])
    assert weights[0] == weights[1]
    call("export", tmp_path / "run-8", "--out", tmp_path / "tuned")
    assert call("ask", tmp_path / "tuned", "Why?", "--tokens", "2")
    assert ": agrees (" in call("merge", tmp_path / "run-8", "--out", tmp_path / "merged")
    files = [tmp_path / name / "model.safetensors" for name in ("tuned", "merged")]
    assert files[0].read_bytes() == files[1].read_bytes()
    verified = json.loads(call("verify", tmp_path / "run-8", "--folder", tmp_path / "merged", "--json"))
    assert [form["agrees"] for form in verified["forms"]] == [True, True]
    with pytest.raises(WorkError, match="gives other logits as .*tiny than it was trained to give"):
        base = home / "models" / "tiny"
        runner.invoke(app, ["models", "verify", str(tmp_path / "run-8"), "--folder", str(base)], catch_exceptions=False)
    with pytest.raises(ConfigError, match="only low-rank additions"):
        call("export", tmp_path / "run-8", "--out", tmp_path / "adapter", "--adapter")
    with pytest.raises(ConfigError, match="exists already"):
        call("export", tmp_path / "run-8", "--out", tmp_path / "tuned")
