"""Runs jobs in their order of dependence: in this process, or in worker processes."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from trimtab.boundary import identity, open_to_write
from trimtab.boundary.own_code import searched_folders
from trimtab.config.permission import permission
from trimtab.experiments.jobs import Job
from trimtab.experiments.worker import work

Answer = dict[str, Any]
Told = Callable[[Job, Answer], None]
"""Called in the main thread with every answer, the ones of lost workers included."""

_POLL = 0.2  # seconds between looks at the request to stop


class Schedule:
    """Which jobs may start: those whose parent's episode is done. A job whose parent failed fails with it."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.waiting = list(jobs)
        self.running: list[Job] = []
        self._unfinished = {job.folder for job in jobs}
        self._failed: set[str] = set()

    def ready(self) -> Job | None:
        """The next job that may start, taken from those that wait; None when none may."""
        for job in self.waiting:
            if job.parent is None or job.parent not in self._unfinished:
                self.waiting.remove(job)
                self.running.append(job)
                return job
        return None

    def blocked(self, job: Job) -> bool:
        """Whether the job's parent failed."""
        return job.parent in self._failed

    def done(self, job: Job, *, failed: bool) -> None:
        """A running job has ended."""
        self.running.remove(job)
        self._unfinished.discard(job.folder)
        if failed:
            self._failed.add(job.folder)

    def again(self, job: Job) -> None:
        """A running job goes back to the head of those that wait."""
        self.running.remove(job)
        self.waiting.insert(0, job)


_BLOCKED: Answer = {"status": "failed", "error": "the episode that it forks from failed"}


def run_inline(jobs: Sequence[Job], told: Told, stop: Callable[[], str | None]) -> None:
    """Run the jobs one after the other in this process; returns early when `stop` gives a reason."""
    schedule = Schedule(jobs)
    while stop() is None and (job := schedule.ready()) is not None:
        answer = _BLOCKED if schedule.blocked(job) else work(job)
        told(job, answer)
        if answer["status"] == "interrupted":
            return
        schedule.done(job, failed=answer["status"] == "failed")


def run_processes(jobs: Sequence[Job], workers: int, told: Told, stop: Callable[[], str | None], log: Path) -> None:
    """Run the jobs in `workers` processes; what they print goes to `log`.

    A worker that dies is told as the answer `lost` and replaced; its job is tried once more, from its last checkpoint, and
    fails when that worker dies too. When `stop` gives a reason, the workers finish their step, write a checkpoint and end.
    """
    schedule, lost = Schedule(jobs), set[str]()
    answers: Queue[tuple[Worker, Job, Answer | None]] = Queue()
    with os.fdopen(open_to_write(log, "append"), "ab") as errors:
        pool = [Worker(errors) for _ in range(min(workers, len(jobs)))]
        idle = list(pool)
        try:
            while schedule.waiting or schedule.running:
                while idle and stop() is None and (job := schedule.ready()) is not None:
                    if schedule.blocked(job):
                        told(job, _BLOCKED)
                        schedule.done(job, failed=True)
                    else:
                        idle.pop().start(job, answers)
                if not schedule.running:
                    return
                worker, job, answer = _next(answers, pool, stop)
                if answer is None:
                    pool.remove(worker)
                    worker.close()
                    pool.append(worker := Worker(errors))
                    if job.folder not in lost:
                        lost.add(job.folder)
                        told(job, {"status": "lost", "error": "its worker process died; it is tried once more"})
                        schedule.again(job)
                    else:
                        told(job, {"status": "failed", "error": "its worker process died twice"})
                        schedule.done(job, failed=True)
                else:
                    told(job, answer)
                    schedule.done(job, failed=answer["status"] in ("failed", "interrupted"))
                idle.append(worker)
        finally:
            for worker in pool:
                worker.close()


def _next(
    answers: "Queue[tuple[Worker, Job, Answer | None]]", pool: "list[Worker]", stop: Callable[[], str | None]
) -> Any:
    asked = False
    while True:
        try:
            return answers.get(timeout=_POLL)
        except Empty:
            if stop() is not None and not asked:
                asked = True
                for worker in pool:
                    worker.interrupt()


_PROGRAM = """
import json, sys
terms = json.loads(sys.argv[1])
sys.path.append(terms["trimtab"])
from trimtab.boundary.parent import end_with
end_with(*terms["parent"])
from trimtab.experiments.worker import main
main(terms)
"""


class Worker:
    """One worker process, in a session of its own so that a Ctrl-C reaches only this process, which passes it on.

    It imports nothing from the working folder but what dotted paths name, finds these where this process does, and allows
    records to name those that are allowed here. It ends with this process.
    """

    def __init__(self, errors: Any) -> None:
        allowed = permission()
        terms = {
            "trimtab": str(Path(__file__).parents[2]),
            "parent": [os.getpid(), identity(os.getpid())],
            "folders": searched_folders(),
            "code": {"names": sorted(allowed.names), "every": allowed.every},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(terms)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )

    def start(self, job: Job, answers: "Queue[tuple[Worker, Job, Answer | None]]") -> None:
        """Hand the job over; its answer, or None when the process dies, is put into `answers`."""
        threading.Thread(target=self._serve, args=(job, answers), daemon=True).start()

    def _serve(self, job: Job, answers: "Queue[tuple[Worker, Job, Answer | None]]") -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(asdict(job)) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = ""
        answers.put((self, job, json.loads(line) if line else None))

    def interrupt(self) -> None:
        """Ask for a checkpoint and an end."""
        self.process.terminate()

    def close(self) -> None:
        """End the process: its input ends, so an idle one leaves by itself."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone already
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
