"""Bad input: one clear paragraph, exit code 2, nothing half-written."""

from pathlib import Path

import pytest

from tests.training.small_runs import SMALL, command, config, options
from trimtab.training import train


def refused(tmp_path: Path, *changes: str, out: str = "run", arguments: tuple[str, ...] = ()) -> str:
    """Run `trimtab train` on a bad input; returns its one paragraph."""
    result = command("train", *arguments, *options([*SMALL, *changes]), "--out", str(tmp_path / out))
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    paragraph = result.stderr.strip()
    assert paragraph.startswith("trimtab: ")
    assert "\n" not in paragraph
    assert "Traceback" not in paragraph
    return paragraph


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("data.path=/nowhere/at/all.txt", ["/nowhere/at/all.txt"]),
        ("episode.stepz=3", ["stepz", "'steps'"]),
        ("model={name: decodr}", ["decodr", "'decoder'"]),
        ("episode.optimizer={name: adamv}", ["adamv", "'adamw'"]),
        ("episode.optimizer={name: adamw, learning_rate: 1}", ["learning_rate", "lr"]),
        ("model={name: 'no_such_package:Model'}", ["no_such_package"]),
        ("episode.steps=many", ["episode.steps", "many"]),
        ("episode.batch_size=1.5", ["batch_size", "1.5"]),
        ("episode.optimizer.lr=-1", ["lr", "-1"]),
        ("data.context=0", ["context", "0"]),
        ("episode.clip=.inf", ["clip", "finite"]),
        ("model={name: decoder, width: 30, heads: 4}", ["width", "heads"]),
        ("hooks=[{name: activation_stat}]", ["hooks[0]", "activation_stats"]),
        ("device=cuda", ["cuda"]),
        ("threads=0", ["threads"]),
        ("threads=9999", ["threads: 9999", "CPU", "auto"]),
    ],
)
def test_a_wrong_config(tmp_path: Path, change: str, words: list[str]) -> None:
    paragraph = refused(tmp_path, change)
    for word in words:
        assert word in paragraph
    assert not (tmp_path / "run").exists()


def test_a_wrong_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("seed: 0\nepisode:\n  steps: 5\n  optimizer: {name: adamw, lr: fast}\n")
    paragraph = refused(tmp_path, arguments=(str(path),))
    assert f"{path}, line 4" in paragraph
    path.write_text("seed: 0\n  steps: [\n")
    assert "line 2" in refused(tmp_path, arguments=(str(path),))
    assert "cannot be read" in refused(tmp_path, arguments=(str(tmp_path / "none.yaml"),))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"too short", ["too short", "needed"]),
        (b"text\x00with a zero byte" * 900, ["byte 4"]),
        ("caf\u00e9 ".encode("latin-1") * 900, ["UTF-8"]),
    ],
)
def test_a_corpus_that_cannot_be_used(tmp_path: Path, content: bytes, words: list[str]) -> None:
    (tmp_path / "corpus.txt").write_bytes(content)
    paragraph = refused(tmp_path, f"data.path={tmp_path / 'corpus.txt'}")
    for word in ["corpus.txt", *words]:
        assert word in paragraph
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_another_run(tmp_path: Path) -> None:
    train(config("episode.steps=2"), tmp_path / "run")
    before = sorted((tmp_path / "run").rglob("*"))
    assert "trimtab resume" in refused(tmp_path)
    assert sorted((tmp_path / "run").rglob("*")) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    assert "thesis.tex" in refused(tmp_path, out="other")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resume", "{tmp}/nothing"), "nothing"),
        (("sample", "{tmp}/nothing"), "nothing"),
        (("replay", "{tmp}/nothing"), "nothing"),
        (("show", "{tmp}/nothing"), "nothing"),
        (("diff", "{tmp}/nothing", "{tmp}/other"), "nothing"),
        (("list", "{tmp}/nothing"), "nothing"),
        (("export", "{tmp}/nothing", "--to", "csv"), "nothing"),
        (("export", "{tmp}/nothing", "--to", "excel"), "excel"),
        (("components", "optimiser"), "optimizer"),
        (("tokenizer", "train", "{tmp}/nothing.txt", "--out", "{tmp}/t.json"), "nothing.txt"),
        (("tokenizer", "train", "--vocabulary", "7", "--out", "{tmp}/t.json"), "257"),
    ],
)
def test_other_commands(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    result = command(*(part.replace("{tmp}", str(tmp_path)) for part in arguments))
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert words in result.stderr


def test_an_observer_that_writes_exits_1_with_its_name(tmp_path: Path) -> None:
    changes = [*SMALL, "hooks=[{name: 'tests.training.parts:WritesActivation', way: in place}]"]
    result = command("train", *options(changes), "--out", str(tmp_path / "run"))
    assert result.returncode == 1
    assert "tests.training.parts:WritesActivation" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_preset_beside_a_config_and_an_unknown_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("seed: 1\n")
    both = command("train", str(path), "--preset", "fast", "--out", str(tmp_path / "run"))
    assert (both.returncode, "are two configs. Give one of them" in both.stderr) == (2, True), both.stderr
    unknown = command("train", "--preset", "slow", "--out", str(tmp_path / "run"))
    assert (unknown.returncode, "There is no preset 'slow'. The presets are: fast." in unknown.stderr) == (2, True)
    assert not (tmp_path / "run").exists()
