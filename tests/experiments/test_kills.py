"""Kills of an experiment or of one of its workers change nothing (slow tier)."""

import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.experiments.specs import GUARDED, SMALL, spec
from tests.fork_server import Command
from tests.training.small_runs import started
from trimtab.experiments import RunOptions, run_experiment

QUIET = RunOptions()


LONGER = {**SMALL["episode"], "steps": 150, "evaluate_every": 50}
"""Long enough that a worker is at work for a while after its first rows."""


def begun(folder: Path, size: int = 1) -> bool:
    """Whether a run in `folder` has recorded something."""
    return any(file.stat().st_size >= size for file in folder.rglob("steps.jsonl"))


@pytest.mark.slow
def test_a_workers_kill_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(yaml.safe_dump({**SMALL, "episode": LONGER}, sort_keys=False))
    run_experiment(spec(episode=LONGER), tmp_path / "whole", QUIET)
    process = begin(tmp_path)
    steps = tmp_path / "e/episodes/plain/seed-0/steps.jsonl"
    while not begun(steps.parent, 8_000):
        assert process.poll() is None, process.printed()
        time.sleep(0.01)
    os.kill(int((steps.parent / ".lock").read_text().split()[0]), signal.SIGKILL)
    done = process.finish(300)
    assert done.returncode == 0, done.stdout
    assert "lost" in done.stdout
    assert same_findings(tmp_path)


@pytest.mark.slow
def test_kills_in_every_phase_of_an_experiment_change_nothing(tmp_path: Path) -> None:
    everything = {
        **SMALL,
        **GUARDED,
        "episode": {**LONGER, "steps": 60},
        "noise_floor": 2,
        "intervention_effects": {"steps": 8},
    }
    everything["arms"] = {"plain": {}, "guard": GUARDED["arms"]["guard"], "static": {"episode.clip": 0.5}}
    everything["tune"] = {"static": {"over": {"episode.optimizer.lr": [0.001, 0.003]}}}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(everything, sort_keys=False))
    run_experiment(spec(**everything), tmp_path / "whole", QUIET)
    for phase in ("tuning", "episodes/guard", "noise", "interventions"):
        process = begin(tmp_path)
        while not ((tmp_path / "e" / phase).exists() if phase == "interventions" else begun(tmp_path / "e" / phase)):
            assert process.poll() is None, process.printed()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)  # its workers leave with it
        process.finish(60)
    assert "completed. Records in" in begin(tmp_path).finish(300).stdout
    assert same_findings(tmp_path)


def begin(tmp_path: Path) -> Command:
    out = ["--out", str(tmp_path / "e"), "--workers", "2", "--pilot"]
    return started("run", str(tmp_path / "e.yaml"), *out, merged=True)


def same_findings(tmp_path: Path) -> bool:
    names = [path.name for path in (tmp_path / "whole").glob("*.json") if path.name != "experiment.json"]
    assert "verdicts.json" in names
    return all((tmp_path / "e" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)
