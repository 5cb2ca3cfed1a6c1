"""The executor that runs jobs in worker processes of this machine."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from trimtab.boundary import identity, open_to_write
from trimtab.boundary.own_code import searched_folders
from trimtab.config.permission import permission
from trimtab.experiments.executor import Answer, Executor
from trimtab.experiments.jobs import Job


class Processes:
    """Up to `slots` worker processes, started when they are needed; what they print goes to `log`."""

    def __init__(self, slots: int, log: Path) -> None:
        self.slots = slots
        self._log = os.fdopen(open_to_write(log, "append"), "ab")
        self._pool: list[Worker] = []
        self._idle: list[Worker] = []
        self._answers: Queue[tuple[Worker, Job, Answer | None]] = Queue()

    def submit(self, job: Job) -> None:
        """Hand the job to an idle worker, or to a new one."""
        if self._idle:
            worker = self._idle.pop()
        else:
            worker = Worker(self._log)
            self._pool.append(worker)
        worker.start(job, self._answers)

    def next(self, timeout: float) -> tuple[str, Answer] | None:
        """The next answer; `lost` where the worker died."""
        try:
            worker, job, answer = self._answers.get(timeout=timeout)
        except Empty:
            return None
        if answer is None:
            self._pool.remove(worker)
            worker.close()
            return job.id, {"status": "lost"}
        self._idle.append(worker)
        return job.id, answer

    def interrupt(self) -> None:
        """Ask every worker for a checkpoint and an end."""
        for worker in self._pool:
            worker.interrupt()

    def stop(self) -> None:
        """End the workers."""
        for worker in self._pool:
            worker.close()
        self._log.close()


def processes(workers: int, log: Path) -> Executor:
    """The executor of the name `processes`."""
    return Processes(max(1, workers), log)


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
            self.process.stdin.write(json.dumps(job.message) + "\n")
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
