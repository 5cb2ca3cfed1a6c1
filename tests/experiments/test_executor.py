"""Worker processes."""

import json
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
from trimtab.experiments.executor import Schedule, run_jobs
from trimtab.experiments.jobs import Job
from trimtab.experiments.processes import processes
from trimtab.records import RunDirectory

ENDLESS = """
import json, os, subprocess, sys, time
from queue import Queue
from trimtab.runtime.workers import Worker

worker = Worker("trimtab.experiments.worker:run_task", subprocess.DEVNULL)
worker.start("job", json.loads(sys.argv[1]), Queue())
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
    results: dict[str, Any] = {}
    job = Job("plain", 0, str(tmp_path / "run"), resolved, "training")
    run_jobs(
        Schedule([job]), processes(1, tmp_path / "log", None), lambda job, result: results.update(result), lambda: None
    )
    assert results["status"] == "completed", (tmp_path / "log").read_text()
    assert not (tmp_path / "executed").exists()


class Recorder:
    """An executor of three slots that answers the newest job first, and notes what it is asked."""

    def __init__(self, answers: dict[str, list[str]] | None = None) -> None:
        self.slots, self.answers = 3, answers or {}
        self.running: list[Job] = []
        self.timeline: list[tuple[str, str]] = []
        self.stopped, self.most = 0, 0

    @property
    def submitted(self) -> list[str]:
        return [name for what, name in self.timeline if what == "start"]

    def submit(self, job: Job) -> None:
        self.running.append(job)
        self.timeline.append(("start", job.id))
        self.most = max(self.most, len(self.running))

    def next(self, timeout: float) -> tuple[str, dict[str, Any]] | None:
        job = self.running.pop()
        self.timeline.append(("end", job.id))
        left = self.answers.get(job.id, [])
        return job.id, {"status": left.pop(0) if left else "completed"}

    def interrupt(self) -> None:
        self.timeline.append(("interrupt", ""))

    def stop(self) -> None:
        self.stopped += 1


def jobs(*parents: str | None) -> list[Job]:
    return [Job("a", n, f"e{n}", {}, "training", parent=parent) for n, parent in enumerate(parents)]


def statuses(executor: Recorder, given: list[Job], stop: Any = lambda: None) -> list[tuple[str, str]]:
    outcome: list[tuple[str, str]] = []
    run_jobs(Schedule(given), executor, lambda job, result: outcome.append((job.id, result["status"])), stop)
    assert executor.stopped == 1
    return outcome


def test_a_fork_waits_for_its_parent_and_no_more_jobs_run_than_there_are_slots() -> None:
    executor = Recorder()
    result = statuses(executor, jobs("e2", None, None, None, None, "e1"))
    assert [status for _, status in result] == ["completed"] * 6 and executor.most == 3
    for parent, child in (("e2", "e0"), ("e1", "e5")):
        assert executor.timeline.index(("end", parent)) < executor.timeline.index(("start", child))


def test_a_job_whose_worker_died_is_tried_once_more() -> None:
    assert statuses(Recorder({"e0": ["lost"]}), jobs(None)) == [("e0", "lost"), ("e0", "completed")]
    result = statuses(Recorder({"e0": ["lost", "lost"]}), jobs(None, "e0", None))
    assert ("e0", "failed") in result and ("e1", "failed") in result and ("e2", "completed") in result


def test_after_an_interrupted_job_no_other_one_starts() -> None:
    executor = Recorder({"e2": ["interrupted"]})
    result = statuses(executor, jobs(None, None, None, None, None))
    assert result[0] == ("e2", "interrupted") and executor.submitted == ["e0", "e1", "e2"]
    assert len(result) == 3
    executor = Recorder()
    assert statuses(executor, jobs(None, None), stop=lambda: "enough") == [] and executor.submitted == []
