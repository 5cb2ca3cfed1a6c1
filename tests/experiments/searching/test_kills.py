"""A killed search continues as if it had never stopped (slow tier): real processes, real SIGKILLs."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.searching.searches import SCHEDULERS, SMALL, rows, searched, written
from tests.fork_server import Command
from tests.training.small_runs import started
from trimtab.records import RunDirectory

CASES: dict[str, dict[str, Any]] = {
    "pso": {"optimizer": {"name": "pso"}, "parallel": 4},
    "optuna": {"optimizer": {"name": "optuna", "start": 3}, "parallel": 2},
    "rungs": {**SCHEDULERS["rungs"], "probe": {"steps": 4}, "parallel": 2},
    "population": {**SCHEDULERS["population"], "parallel": 4},
    "race": {**SCHEDULERS["race"], "parallel": 2},
}
TRIALS = 12
EPISODE = {**SMALL["run"]["episode"], "steps": 24}
LONGER = {**EPISODE, "steps": 200, "evaluate_every": 50, "checkpoint_every": 20}


def begin(file: Path, out: Path, workers: int) -> Command:
    return started("search", str(file), "--out", str(out), "--workers", str(workers), merged=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CASES)
def test_kills_change_nothing(tmp_path: Path, name: str) -> None:
    changes = {"run": {**SMALL["run"], "episode": EPISODE}, "trials": TRIALS, **CASES[name]}
    whole = searched(tmp_path / "whole", **changes)
    file, log = written(tmp_path / "s.yaml", **changes), tmp_path / "s/events.jsonl"
    random_, total = random.Random(name), (tmp_path / "whole/events.jsonl").stat().st_size
    for kill in range(1, 4):
        process = begin(file, tmp_path / "s", workers=1 + kill % 2)
        goal = total * kill / 4
        while not log.exists() or log.stat().st_size < goal:
            assert process.poll() is None, process.printed()
            time.sleep(0.005)
        time.sleep(random_.random() / 4)
        process.send_signal(signal.SIGKILL)
        process.finish(60)
    done = begin(file, tmp_path / "s", workers=2).finish(300)
    assert done.returncode == 0, done.stdout
    assert log.read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()
    summary = RunDirectory(tmp_path / "s").summary()
    first = RunDirectory(tmp_path / "whole").summary()
    assert summary is not None and first is not None
    assert summary.weights_sha256 == first.weights_sha256 is not None
    assert summary.metrics | {"decision_seconds": 0} == whole["metrics"] | {"decision_seconds": 0}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_workers_kill_changes_nothing(tmp_path: Path) -> None:
    changes = {"run": {**SMALL["run"], "episode": LONGER}, "trials": 3, "parallel": 2}
    searched(tmp_path / "whole", **changes)
    process = begin(written(tmp_path / "s.yaml", **changes), tmp_path / "s", workers=2)
    killed = 0
    while killed < 1:
        assert process.poll() is None, process.printed()
        for steps in (tmp_path / "s").rglob("steps.jsonl"):
            if steps.stat().st_size > 8_000 and not (steps.parent / "summary.json").exists():
                os.kill(int((steps.parent / ".lock").read_text().split()[0]), signal.SIGKILL)
                killed += 1
                break
        time.sleep(0.01)
    done = process.finish(300)
    assert done.returncode == 0 and "lost" in done.stdout, done.stdout
    assert (tmp_path / "s/events.jsonl").read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()
    assert len(rows(tmp_path / "s")) == 3 + 3 + 2
