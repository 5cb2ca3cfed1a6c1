"""The executor that runs jobs in worker processes of this machine."""

from pathlib import Path

from trimtab.experiments.executor import Executor, OnJobEvent, Result
from trimtab.experiments.jobs import Job
from trimtab.runtime.workers import Pool


class Processes:
    """Runs up to `slots` jobs at a time, each in a worker process; what these print is appended to `log`."""

    def __init__(self, slots: int, log: Path, on_event: OnJobEvent | None = None) -> None:
        self.slots = slots
        self._pool = Pool(slots, "trimtab.experiments.worker:run_task", log, on_event)

    def submit(self, job: Job) -> None:
        """Start the job in a worker process."""
        self._pool.submit(job.id, job.message)

    def next(self, timeout: float) -> tuple[str, Result] | None:
        """The id and the result of the next job that ends; the status is `lost` where its process died."""
        ended = self._pool.next(timeout)
        if ended is None:
            return None
        job_id, result = ended
        return job_id, {"status": "lost"} if result is None else result

    def interrupt(self) -> None:
        """Ask every worker for a checkpoint and the end of its job."""
        self._pool.interrupt()

    def stop(self) -> None:
        """Wait for the running jobs and end the processes."""
        self._pool.stop()


def processes(workers: int, log: Path, on_event: OnJobEvent | None) -> Executor:
    """The executor of the name `processes`."""
    return Processes(max(1, workers), log, on_event)
