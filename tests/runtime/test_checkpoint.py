"""Checkpoints are whole or refused; pruning keeps the newest and the best; a full disk stops a run soundly."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.small_runs import SMALL, config, environment, options
from trimtab.config import RunError
from trimtab.records import RunDirectory
from trimtab.records.checkpoints import checkpoint_path, checkpoint_steps
from trimtab.records.manifest import CHECKSUM, with_checksum
from trimtab.runtime.checkpoint import newest_sound, read_checkpoint
from trimtab.training import resume, train
from trimtab.training.runs.assembly import assemble
from trimtab.training.runs.sampling import load_model


@pytest.fixture
def run(tmp_path: Path) -> Path:
    train(config(), tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damage_is_found(run: Path, name: str, damage: str) -> None:
    path = checkpoint_path(run / "checkpoints", 24)
    file = path / name
    data = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(data[:-9])
    elif damage == "flipped":
        data[len(data) // 2] ^= 4
        file.write_bytes(data)
    else:
        file.unlink()
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        read_checkpoint(path)
    result = newest_sound(run / "checkpoints")
    assert result is not None
    assert result[0] == 18


def test_something_else_in_the_place_of_a_checkpoint_is_named(run: Path) -> None:
    path = checkpoint_path(run / "checkpoints", 24)
    (path / "model.safetensors").unlink()
    os.mkfifo(path / "model.safetensors")
    with pytest.raises(RunError, match="damaged: model.safetensors is a FIFO, not a regular file"):
        read_checkpoint(path)
    shutil.rmtree(path)
    os.mkfifo(path)
    with pytest.raises(RunError, match="step-00000024 is damaged: it is a FIFO, not a folder"):
        read_checkpoint(path)
    path.unlink()
    with pytest.raises(RunError, match=r"There is no checkpoint .*step-00000024. The steps that have one: "):
        read_checkpoint(path)
    shutil.rmtree(path.parent)
    path.parent.symlink_to("nowhere")
    for command in (newest_sound, lambda folder: load_model(folder.parent)):
        with pytest.raises(
            RunError, match="is a symbolic link that leads nowhere, not the folder of the run's checkpoints"
        ):
            command(path.parent)


@pytest.mark.parametrize(
    ("key", "value"), [("monitor", 3), ("streams", {"a": 1}), ("episode", None), ("evaluated", {"x": 0})]
)
def test_a_state_of_another_shape_with_a_right_checksum_is_refused(run: Path, key: str, value: object) -> None:
    file = checkpoint_path(run / "checkpoints", 24) / "state.json"
    content = json.loads(file.read_text())
    del content[CHECKSUM]
    content["values"][key] = value
    file.write_text(json.dumps(with_checksum(content)))
    with pytest.raises(RunError, match=r"checkpoint of step 24 does not fit the run: .*\. Restore its state.json"):
        resume(run, ["episode.steps=30"], accept_changes=True)
    content["values"]["counters"] = []
    file.write_text(json.dumps(with_checksum(content)))
    with pytest.raises(RunError, match=r"does not say which step it is of\. Restore it"):
        resume(run, ["episode.steps=30"], accept_changes=True)


def test_nothing_is_pickled(run: Path) -> None:
    files = {file.name for file in checkpoint_path(run / "checkpoints", 24).iterdir()}
    assert files == {"model.safetensors", "optimizer.safetensors", "state.json"}
    content = json.loads((checkpoint_path(run / "checkpoints", 24) / "state.json").read_text())
    summary = RunDirectory(run).summary()
    assert summary is not None
    assert content["weights_sha256"] == summary.weights_sha256


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    # A learning rate this high makes the first evaluation the best.
    train(
        config("episode.optimizer={name: sgd, lr: 300}", "episode.clip=null", "episode.keep_checkpoints=2"),
        tmp_path / "run",
    )
    run = RunDirectory(tmp_path / "run")
    best = min(run.evaluations(), key=lambda row: row["val_loss"])["step"]
    assert best < 18
    assert checkpoint_steps(run.checkpoints_path) == sorted({best, 18, 24})


def test_a_full_disk_stops_the_run_with_a_message_and_sound_checkpoints(tmp_path: Path) -> None:
    out = tmp_path / "run"
    big = [item for item in SMALL if not item.startswith("model=")]
    big += ["model={name: 'tests.tiny:TinyModel', width: 256}", "episode.keep_checkpoints=9"]
    script = (
        "import sys; from tests.training.small_runs import config; from trimtab.training import train; from trimtab.cli.main import main\n"
        f"import trimtab.cli.running as r; sys.argv = {['trimtab', 'train', '--out', str(out), *[p for i in big for p in ('--set', i)]]!r}\n"
        "main()"
    )
    small = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000)),
    )  # fmt: skip
    assert small.returncode == 1, small.stderr
    assert "safetensors" in small.stderr
    assert "Traceback" not in small.stderr
    assert "trimtab resume" in small.stderr
    assert not [entry for entry in (out / "checkpoints").iterdir() if entry.name.startswith(".")]
    assert resume(out)["status"] == "completed"  # with room again, it continues


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (1_000, ["manifest.json", "run the same command again", "has not started"]),
        (
            9_000,
            ["step-00000006/model.safetensors", "continue with `trimtab resume", "first checkpoint", "starts again"],
        ),
    ],
)
def test_a_full_disk_at_the_start_is_one_clear_paragraph(tmp_path: Path, limit: int, words: list[str]) -> None:
    assemble(config())  # the corpus is encoded and in the cache
    script = f"import sys; sys.argv = {['trimtab', 'train', '--out', str(tmp_path / 'run'), *options(SMALL)]!r}\n"
    script += "from trimtab.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    paragraph = done.stderr.strip()
    assert paragraph.startswith("trimtab: Could not write ") and "\n" not in paragraph
    for word in ["past the size limit of this process", "ulimit -f unlimited", *words]:
        assert word in paragraph
    if limit == 1_000:
        assert not (tmp_path / "run").exists()
    else:
        assert resume(tmp_path / "run")["status"] == "completed"
