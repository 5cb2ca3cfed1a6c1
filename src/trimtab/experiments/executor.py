"""Runs jobs in their order of dependence, by an executor: in this process, in worker processes, or by an installed package's.

An executor is registered by an entry point of the group `trimtab.executors`: a function `(workers, log, on_event) -> Executor`.
`log` is the file for what its processes print; `on_event(job_id, event)` takes the events of its jobs, in the thread that calls
`next`, and is None where nobody wants them.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from trimtab.config import ConfigError
from trimtab.config.kinds import installed, loaded
from trimtab.config.wording import unknown_name
from trimtab.experiments.jobs import Job
from trimtab.experiments.worker import run_and_report
from trimtab.runtime.events import RunEvent

Result = dict[str, Any]
"""What a job returned: its `status` and what it cost, or `failed` and the `error`."""

OnResult = Callable[[Job, Result], None]
"""Called in the main thread with the result of every job, also of one whose process died."""

OnJobEvent = Callable[[str, RunEvent], None]
"""A consumer of the events of all jobs: the job's id, and the event."""

MakeExecutor = Callable[[int, Path, OnJobEvent | None], "Executor"]

_POLL = 0.2  # seconds between looks at the request to stop


class Executor(Protocol):
    """Runs jobs, `slots` of them at a time. The records that a job leaves are the same whichever executor runs it."""

    slots: int

    def submit(self, job: Job) -> None:
        """Start a job."""
        ...

    def next(self, timeout: float) -> tuple[str, Result] | None:
        """The id and the result of a job that has ended; None after `timeout` seconds without one.

        The status is `lost` where the process that ran the job died.
        """
        ...

    def interrupt(self) -> None:
        """Ask running jobs to write a checkpoint and to end; their results are `interrupted`."""
        ...

    def stop(self) -> None:
        """End every process that the executor started."""
        ...


class Inline:
    """Runs each job in this process, in `next`."""

    slots = 1

    def __init__(self, on_event: OnJobEvent | None = None) -> None:
        self._on_event = on_event
        self._job: Job | None = None

    def submit(self, job: Job) -> None:
        """Keep the job for `next`."""
        self._job = job

    def next(self, timeout: float) -> tuple[str, Result] | None:
        """Run the job to its end, however long that takes."""
        assert self._job is not None
        job, self._job, on_event = self._job, None, self._on_event
        if on_event is None:
            return job.id, run_and_report(job)
        return job.id, run_and_report(job, lambda event: on_event(job.id, event))

    def interrupt(self) -> None:
        """Does nothing: a signal reaches the job directly."""

    def stop(self) -> None:
        """Does nothing: there is no other process."""


def inline(workers: int, log: Path, on_event: OnJobEvent | None) -> Executor:
    """The executor of the name `inline`."""
    return Inline(on_event)


def find_executor(text: str) -> MakeExecutor:
    """The function that makes the executor `NAME` or `NAME:ADDRESS`.

    Raises `ConfigError` where there is none of this name, and for an address if it takes none.
    """
    name, colon, address = text.partition(":")
    known = {point.name: point for point in installed("trimtab.executors")}
    if name not in known:
        raise ConfigError(
            f"--executor: there is no executor '{name}'.{unknown_name(name, known)} Known: {', '.join(sorted(known))}."
        )
    make: MakeExecutor = loaded(known[name])
    if not colon:
        return make
    if "address" not in inspect.signature(make).parameters:
        raise ConfigError(f"--executor {text}: '{name}' runs on this machine and takes no address.")
    with_address: MakeExecutor = functools.partial(loaded(known[name]), address=address)
    return with_address


class Schedule:
    """Decides which jobs may start: a fork waits for its parent's episode, and fails when that fails."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.waiting = list(jobs)
        self.running: list[Job] = []
        self._unfinished = {job.folder for job in jobs}
        self._failed: set[str] = set()

    def ready(self) -> Job | None:
        """Take the next job that may start from those that wait; None when none may."""
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


_BLOCKED: Result = {"status": "failed", "error": "the episode that it forks from failed"}


def run_jobs(schedule: Schedule, executor: Executor, on_result: OnResult, stop: Callable[[], str | None]) -> None:
    """Run the jobs of a schedule in its order; the executor is stopped at the end.

    A job whose process died is reported as `lost` and tried once more, from its last checkpoint; it fails when that process
    dies too. When `stop` gives a reason, or a job was interrupted, running jobs write a checkpoint and end, and no further one
    starts.
    """
    lost, stopping, interrupted = set[str](), False, False
    try:
        while schedule.waiting or schedule.running:
            stopping = stopping or stop() is not None
            while not stopping and len(schedule.running) < executor.slots and (job := schedule.ready()) is not None:
                if schedule.blocked(job):
                    on_result(job, _BLOCKED)
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
            result = ended[1]
            if result["status"] == "lost" and job.id not in lost:
                lost.add(job.id)
                on_result(job, {"status": "lost", "error": "its worker process died; it is tried once more"})
                schedule.again(job)
                continue
            if result["status"] == "lost":
                result = {"status": "failed", "error": "its worker process died twice"}
            on_result(job, result)
            schedule.done(job, failed=result["status"] in ("failed", "interrupted"))
            stopping = stopping or result["status"] == "interrupted"
    except BaseException:
        executor.interrupt()  # `stop` waits for the running jobs
        raise
    finally:
        executor.stop()
