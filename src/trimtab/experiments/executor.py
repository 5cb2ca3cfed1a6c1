"""Runs jobs in their order of dependence, by an executor: in this process, in worker processes, or by an installed package's.

An executor is registered by an entry point of the group `trimtab.executors`: a function `(workers, log) -> Executor`, where `log`
is the file for what its processes print.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from trimtab.config import ConfigError
from trimtab.config.kinds import installed, loaded
from trimtab.config.wording import unknown_name
from trimtab.experiments.jobs import Job
from trimtab.experiments.worker import work

Answer = dict[str, Any]
"""What came of a job: its `status` and what it cost, or `failed` and the `error`."""

OnAnswer = Callable[[Job, Answer], None]
"""Called in the main thread with every answer, also those of jobs whose worker died."""

_POLL = 0.2  # seconds between looks at the request to stop


class Executor(Protocol):
    """Runs jobs, `slots` of them at a time. The records that a job leaves are the same whichever executor runs it."""

    slots: int

    def submit(self, job: Job) -> None:
        """Start a job."""
        ...

    def next(self, timeout: float) -> tuple[str, Answer] | None:
        """The id and the answer of a job that has ended; None after `timeout` seconds without one.

        The status is `lost` where the process that ran the job died.
        """
        ...

    def interrupt(self) -> None:
        """Let running jobs write a checkpoint and end; their answers are `interrupted`."""
        ...

    def stop(self) -> None:
        """End every process that the executor started."""
        ...


class Inline:
    """Runs each job in this process, in `next`."""

    slots = 1

    def __init__(self) -> None:
        self._job: Job | None = None

    def submit(self, job: Job) -> None:
        """Keep the job."""
        self._job = job

    def next(self, timeout: float) -> tuple[str, Answer] | None:
        """Run the job to its end, however long that takes."""
        assert self._job is not None
        job, self._job = self._job, None
        return job.id, work(job)

    def interrupt(self) -> None:
        """A signal reaches the job by itself."""

    def stop(self) -> None:
        """Nothing was started."""


def inline(workers: int, log: Path) -> Executor:
    """The executor of the name `inline`."""
    return Inline()


def find_executor(name: str) -> Callable[[int, Path], Executor]:
    """The function `(workers, log) -> Executor` of a name. Raises `ConfigError` where there is none."""
    known = {point.name: point for point in installed("trimtab.executors")}
    if name not in known:
        raise ConfigError(
            f"--executor: there is no executor '{name}'.{unknown_name(name, known)} Known: {', '.join(sorted(known))}."
        )
    found: Callable[[int, Path], Executor] = loaded(known[name])
    return found


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


def run_jobs(jobs: Sequence[Job], executor: Executor, on_answer: OnAnswer, stop: Callable[[], str | None]) -> None:
    """Run the jobs, each after the one that it forks from; the executor is stopped at the end.

    A job whose worker died is answered as `lost` and tried once more, from its last checkpoint; it fails when that worker dies
    too. When `stop` gives a reason, or a job was interrupted, running jobs write a checkpoint and end, and no further one starts.
    """
    schedule, lost, stopping, interrupted = Schedule(jobs), set[str](), False, False
    try:
        while schedule.waiting or schedule.running:
            stopping = stopping or stop() is not None
            while not stopping and len(schedule.running) < executor.slots and (job := schedule.ready()) is not None:
                if schedule.blocked(job):
                    on_answer(job, _BLOCKED)
                    schedule.done(job, failed=True)
                else:
                    executor.submit(job)
            if not schedule.running:
                return
            while (ended := executor.next(_POLL)) is None:
                stopping = stopping or stop() is not None
                if stopping and not interrupted:
                    interrupted = True
                    executor.interrupt()
            job = next(one for one in schedule.running if one.id == ended[0])
            answer = ended[1]
            if answer["status"] == "lost" and job.id not in lost:
                lost.add(job.id)
                on_answer(job, {"status": "lost", "error": "its worker process died; it is tried once more"})
                schedule.again(job)
                continue
            if answer["status"] == "lost":
                answer = {"status": "failed", "error": "its worker process died twice"}
            on_answer(job, answer)
            schedule.done(job, failed=answer["status"] in ("failed", "interrupted"))
            stopping = stopping or answer["status"] == "interrupted"
    finally:
        executor.stop()
