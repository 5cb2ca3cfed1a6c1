"""Worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.training.small_runs import DECODER, config, environment
from trimtab.config import allowing_code
from trimtab.experiments.executor import Worker, run_processes
from trimtab.experiments.jobs import Job
from trimtab.records import RunDirectory

ENDLESS = """
import json, os, subprocess, sys, time
from queue import Queue
from trimtab.experiments.executor import Worker
from trimtab.experiments.jobs import Job

worker = Worker(subprocess.DEVNULL)
worker.start(Job(**json.loads(sys.argv[1])), Queue())
print(worker.process.pid, flush=True)
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), 9)
"""
"""A process that hands an endless job to a worker and is killed so many seconds later."""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.5, 15.0])
def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path, seconds: float) -> None:
    """While the worker's interpreter starts, while it imports, and while it works."""
    endless = config("episode.steps=1000000", base=DECODER).model_dump(mode="json")
    job = Job("plain", 0, str(tmp_path / "run"), endless, "training")
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS, json.dumps(asdict(job)), str(seconds)],
        stdout=subprocess.PIPE, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    until = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "the worker goes on without its parent"
        time.sleep(0.05)
    run = RunDirectory(tmp_path / "run")
    if run.path.exists():
        with run.lock():
            pass


@pytest.mark.slow
def test_a_worker_finds_the_users_components_and_nothing_else_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`queue.py` would come before the standard library's, `opt_einsum.py` is what torch tries to import."""
    stranger, own = tmp_path / "stranger", tmp_path / "own"
    for folder in (stranger, own):
        folder.mkdir()
    for name in ("queue", "json", "typing", "opt_einsum", "org"):
        (stranger / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    (own / "own_controller.py").write_text(
        "import neighbour\nfrom trimtab.regimes import Controller\n\nclass Quiet(Controller):\n    pass\n"
    )
    (own / "neighbour.py").write_text("")
    monkeypatch.syspath_prepend(own)
    monkeypatch.chdir(stranger)
    changes = ["episode.steps=2", "episode.regime_controller={name: 'own_controller:Quiet'}"]
    resolved = config(*changes, base=DECODER).model_dump(mode="json")
    answers: dict[str, Any] = {}
    job = Job("plain", 0, str(tmp_path / "run"), resolved, "training")
    run_processes([job], 1, lambda job, answer: answers.update(answer), lambda: None, tmp_path / "log")
    assert answers["status"] == "completed", (tmp_path / "log").read_text()
    assert not (tmp_path / "executed").exists()


def test_a_worker_is_told_what_is_allowed_and_where_to_look() -> None:
    with allowing_code(names=["a:B"]):
        worker = Worker(subprocess.DEVNULL)
    try:
        command = psutil.Process(worker.process.pid).cmdline()
        terms = json.loads(command[-1])
        assert "-P" in command and terms["code"] == {"names": ["a:B"], "every": False}
        assert terms["parent"][0] == os.getpid()
    finally:
        worker.process.kill()
        worker.close()
