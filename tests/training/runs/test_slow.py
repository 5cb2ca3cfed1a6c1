"""Real sizes and real kills (slow tier)."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.training.small_runs import EVERYTHING, command, config, options, started
from trimtab.records import RunDirectory, first_difference, last_row
from trimtab.training import resume, train

pytestmark = pytest.mark.slow

MIDDLING = [
    "model={name: decoder, layers: 2, width: 96, heads: 4}",
    "data.context=96",
    "data.stride=96",
    "episode.steps=100",
    "episode.batch_size=8",
    "episode.evaluate_every=40",
    "episode.evaluation_windows=32",
    "episode.checkpoint_every=10",
    *(item for item in EVERYTHING if "sample" not in item),
    "episode.sample.tokens=40",
]


def last_step(out: Path) -> int:
    """The last step that stands whole in a run's records, 0 before the first."""
    path = out / "steps.jsonl"
    row = last_row(path) if path.exists() else None
    return 0 if row is None else int(row["step"])


def test_five_kills_at_random_moments_end_in_the_uninterrupted_runs_weights(tmp_path: Path) -> None:
    train(config(base=MIDDLING), tmp_path / "whole")
    summary = RunDirectory(tmp_path / "whole").summary()
    assert summary is not None
    out, moments = tmp_path / "run", random.Random(7)
    arguments = ["train", *options(MIDDLING), "--out", str(out)]
    for target in sorted(moments.sample(range(5, 90), 5)):
        process = started(*arguments)
        while process.poll() is None and last_step(out) < target:
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.06))
        process.send_signal(signal.SIGKILL)
        assert process.finish(60).returncode == -signal.SIGKILL, "the run ended before it could be killed"
        arguments = ["resume", str(out), "--allow-code"]
    resumed = command(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    again = RunDirectory(out).summary()
    assert again is not None
    assert again.weights_sha256 == summary.weights_sha256
    assert first_difference(RunDirectory(tmp_path / "whole"), RunDirectory(out)) is None


def test_the_100m_preset_trains_checkpoints_and_resumes(tmp_path: Path) -> None:
    changes = [
        "model={name: decoder, preset: 100m}", "episode.optimizer.lr=1e-5", "episode.steps=4", "episode.batch_size=1", "episode.checkpoint_every=2",
        "episode.evaluation_windows=1", "episode.keep_checkpoints=1", "episode.sample.tokens=5",
    ]  # fmt: skip
    whole = train(config(*changes, base=[]), tmp_path / "whole")
    assert whole["status"] == "completed"
    losses = [row["train_loss"] for row in RunDirectory(tmp_path / "whole").steps()]
    assert losses[-1] < losses[0]
    flag = tmp_path / "killed"
    killer = f"hooks=[{{name: 'tests.training.parts:KillsItsProcess', at: 3, flag: {flag}}}]"
    killed = command("train", *options([*changes, killer]), "--out", str(tmp_path / "run"))
    assert killed.returncode == -signal.SIGKILL
    assert resume(tmp_path / "run")["weights_sha256"] == whole["weights_sha256"]


def test_the_default_model_replays(tmp_path: Path) -> None:
    changes = ["episode.steps=12", "episode.evaluation_windows=16", "episode.sample.tokens=10"]
    train(config(*changes, base=[]), tmp_path / "run")
    told = command("replay", str(tmp_path / "run"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "weights are identical" in told.stdout


def test_a_full_file_system(tmp_path: Path) -> None:
    """A real full disk: a small tmpfs of its own, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs privileges that this user does not have")
    try:
        changes = [
            "model={name: decoder, layers: 2, width: 64, heads: 2}", "episode.steps=60", "episode.checkpoint_every=3",
            "episode.keep_checkpoints=99", "data.context=64", "data.stride=64", "episode.sample.tokens=0",
        ]  # fmt: skip
        result = command("train", *options(changes), "--out", str(disk / "run"))
        assert result.returncode == 1, result.stderr
        assert "Traceback" not in result.stderr
        assert "trimtab resume" in result.stderr
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        resumed = command("resume", str(disk / "run"))
        assert resumed.returncode == 0, resumed.stderr
        train(config(*changes, base=[]), tmp_path / "whole")
        assert first_difference(RunDirectory(tmp_path / "whole"), RunDirectory(disk / "run")) is None
    finally:
        subprocess.run(["umount", str(disk)], check=True)
