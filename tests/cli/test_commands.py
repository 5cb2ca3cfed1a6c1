"""The command line on real runs."""

import json
from pathlib import Path

import pytest

from tests.training.small_runs import DECODER, ROOT, command, options


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    result = command("train", *options([*DECODER, "episode.sample.tokens=10"]), "--out", str(out))
    assert result.returncode == 0, result.stderr
    assert "completed after 24 steps" in result.stdout
    assert "validation loss" in result.stdout
    return out


def test_a_run_leaves_what_is_promised(run: Path) -> None:
    names = {entry.name for entry in run.iterdir() if not entry.name.startswith(".")}
    assert names == {
        "manifest.json", "steps.jsonl", "events.jsonl", "evaluations.jsonl", "summary.json", "checkpoints", "plots"
    }  # fmt: skip
    assert {entry.name for entry in (run / "plots").iterdir()} == {"loss_curve.svg", "loss_curve.png"}
    manifest = json.loads((run / "manifest.json").read_text())
    assert {"run_id", "git_commit", "config_hash", "hooks", "seed", "data", "environment", "parent"} <= set(manifest)
    row = json.loads((run / "steps.jsonl").read_text().splitlines()[-1])
    assert {"step", "train_loss", "lr", "grad_norm", "tokens", "seconds", "rss_mb", "param_update_norm"} <= set(row)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "completed"
    assert len(summary["weights_sha256"]) == 64


def test_list_and_show_write_nothing(run: Path) -> None:
    before = sorted(run.parent.rglob("*"))
    assert "first" in command("list", str(run.parent)).stdout
    assert sorted(run.parent.rglob("*")) == before
    rows = json.loads(command("list", str(run.parent), "--json").stdout)
    assert [row["status"] for row in rows] == ["completed"]
    shown = command("show", rows[0]["run_id"][:18], "--in", str(run.parent))
    assert rows[0]["run_id"] in shown.stdout
    assert json.loads(command("show", str(run), "--json").stdout)["status"] == "completed"


def test_the_same_seed_gives_the_same_text(run: Path) -> None:
    arguments = ("sample", str(run), "--prompt", "The for", "--tokens", "30", "--json")
    texts = [json.loads(command(*arguments, "--seed", seed).stdout)["text"] for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) >= 25  # <PAD>, which an untrained model may say, is no character


def test_a_folder_of_mixed_files_is_told_of_fact_by_fact(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    contents = {
        "a.txt": b"plain text\n" * 400,
        "b.md": "# Caf\u00e9\n".encode() * 300,
        "c.png": b"\x89PNG\r\n\x1a\n\0\0",
        "empty.txt": b"",
        "latin.txt": "na\u00efve caf\u00e9\n".encode("latin-1"),
    }
    for name, content in contents.items():
        (tmp_path / "texts" / name).write_bytes(content)
    arguments = options([*DECODER, "episode.steps=2", "data.path=texts"])
    result = command("train", *arguments, "--out", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    facts = [line for line in result.stdout.splitlines() if line.startswith("data: ")]
    assert len(facts) == 4
    assert facts[0].startswith("data: texts: 2 files, ")
    assert all(
        part in facts[1] for part in ("3 skipped", "texts/c.png (byte", "empty.txt (empty)", "latin.txt (byte 2 (0xef)")
    )
    assert str(tmp_path) not in facts[1]
    assert facts[2].startswith("data: 300 unknown characters (")
    assert "4.615% of all characters" in facts[2]
    assert facts[3].startswith("data: the model can neither")


def test_a_prompt_that_the_tokenizer_does_not_know_is_told_of(run: Path) -> None:
    written = command("sample", str(run), "--prompt", "né ☃", "--tokens", "5")
    assert written.returncode == 0 and written.stdout.startswith("né ☃")
    assert "2 characters of the prompt are not in this run's tokenizer ('é' x1, '☃' x1)" in written.stderr
    assert command("sample", str(run), "--prompt", "ne", "--tokens", "5").stderr == ""
    empty = command("sample", str(run), "--prompt", "")
    assert (empty.returncode, empty.stdout) == (2, "") and empty.stderr.startswith(
        "trimtab: --prompt: the prompt is empty"
    )


def test_fork_and_diff_name_the_first_difference(run: Path) -> None:
    child = run.parent / "hotter"
    made = command("fork", str(run), "--at", "10", "--set", "episode.optimizer.lr=0.1", "--out", str(child))
    assert made.returncode == 0, made.stderr
    told = command("diff", str(run), str(child)).stdout
    assert "episode.optimizer.lr: 0.0003 in A, 0.1 in B" in told
    assert "step 11" in told
    assert json.loads(command("diff", str(run), str(child), "--json").stdout)["first_difference"]["step"] == 11


def test_replay_says_identical(run: Path) -> None:
    told = command("replay", str(run))
    assert told.returncode == 0, told.stderr
    assert "24 steps compared" in told.stdout
    assert "Every loss is identical" in told.stdout
    assert "weights are identical" in told.stdout


def test_json_output_is_json_alone(run: Path, tmp_path: Path) -> None:
    result = command("train", *options(DECODER), "--out", str(tmp_path / "run"), "--json")
    content = json.loads(result.stdout)
    assert content["status"] == "completed"


def test_components_lists_every_kind_with_parameters() -> None:
    listing = json.loads(command("components", "--json").stdout)
    assert {"data", "tokenizer", "model", "loss", "optimizer", "schedule", "regime_controller", "hook"} <= set(listing)
    adamw = {parameter["name"]: parameter for parameter in listing["optimizer"]["adamw"]["parameters"]}
    assert adamw["lr"]["default"] == 3e-4
    assert "learning rate" in adamw["lr"]["description"]


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "resume",
        "fork",
        "replay",
        "sample",
        "list",
        "show",
        "diff",
        "export",
        "components",
        "baseline",
        "bench",
        "tokenizer train",
        "evidence",
        "run",
        "ablate",
        "aa",
    ],
)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = command(*name.split(), "--help")
    assert result.returncode == 0
    assert "trimtab " in result.stdout.split("Options:")[0].partition("\n\n")[2]


def test_a_tokenizer_is_trained_and_used(tmp_path: Path) -> None:
    out = tmp_path / "tokenizer.json"
    assert command("tokenizer", "train", "--vocabulary", "300", "--out", str(out)).returncode == 0
    changes = [*DECODER, f"data.tokenizer={{name: file, path: {out}}}", "episode.sample.tokens=5"]
    result = command("train", *options(changes), "--out", str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    assert command("sample", str(tmp_path / "run"), "--tokens", "5").returncode == 0


def test_help_and_looking_load_no_torch() -> None:
    import subprocess
    import sys

    script = "import sys; sys.argv = ['trimtab', '--help']\nfrom trimtab.cli.main import main\ntry: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_folder_that_cannot_be_used_is_refused_without_torch_and_before_anything_is_printed(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "notes.txt").write_text("mine")
    used, experiment = str(tmp_path), str(ROOT / "configs" / "regime_controller.yaml")
    refused = [
        ["train", "--out", used],
        ["run", experiment, "--out", used],
        ["memory", "run", experiment, "--out", used],
        *([name, used] for name in ("resume", "replay", "sample")),
        ["fork", used, "--at", "1", "--out", used],
        ["chaos", used, "--at", "1", "--out", str(tmp_path / "new")],
    ]
    script = f"""
import sys
from typer.testing import CliRunner
from trimtab.cli.commands import app
from trimtab.errors import RunError

for arguments in {refused!r}:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, RunError) and result.output == "", (arguments, result)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
