"""Worker processes of this machine: each takes tasks one at a time, sends the events of its work and returns a result.

Tasks, events and results cross the pipes as lines of JSON; nothing is pickled.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from trimtab.boundary import identity, open_to_write
from trimtab.boundary.own_code import allow_imports_from, searched_folders
from trimtab.config.permission import allowing_code, permission
from trimtab.runtime.events import OnEvent, RunEvent, from_plain, to_plain

Task = dict[str, Any]
Result = dict[str, Any]

Work = Callable[[Task, OnEvent | None], Result]
"""What a worker does with a task: JSON values in and out. The consumer of events is None where nobody wants them."""

OnTaskEvent = Callable[[str, RunEvent], None]
"""A consumer of the events of several tasks: the id of the task, and the event."""


class Pool:
    """Worker processes, each started when a task finds none idle. What they print is appended to the file `log`.

    The caller submits at most `size` tasks at a time; the pool does not check this. `work` names a function of the
    type `Work` as `module:name`.
    """

    def __init__(self, size: int, work: str, log: Path, on_event: OnTaskEvent | None = None) -> None:
        self.size, self._work, self._on_event = size, work, on_event
        self._log = os.fdopen(open_to_write(log, "append"), "ab")
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._messages: Messages = Queue()

    def submit(self, task_id: str, task: Task) -> None:
        """Give the task to an idle worker, or to a new one."""
        if self._idle:
            worker = self._idle.pop()
        else:
            worker = Worker(self._work, self._log, events=self._on_event is not None)
            self._workers.append(worker)
        worker.start(task_id, task, self._messages)

    def next(self, timeout: float) -> tuple[str, Result | None] | None:
        """The id and the result of the next task that ends, None instead of the result where its process died.

        Returns None when no task has ended after `timeout` seconds. Meanwhile the consumer is called with the events that come.
        """
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            try:
                worker, task_id, message = self._messages.get(timeout=left)
            except Empty:
                break
            if message is None:
                self._workers.remove(worker)
                worker.close()
                return task_id, None
            if "result" in message:
                self._idle.append(worker)
                result: Result = message["result"]
                return task_id, result
            if self._on_event is not None:
                self._on_event(task_id, from_plain(message["event"]))
        return None

    def interrupt(self) -> None:
        """Ask every worker to write a checkpoint and to end its task."""
        for worker in self._workers:
            worker.interrupt()

    def stop(self) -> None:
        """Wait for the running tasks and end the processes."""
        for worker in self._workers:
            worker.close()
        self._log.close()


_PROGRAM = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path.append(arguments["trimtab"])
from trimtab.boundary.parent import exit_with_parent
exit_with_parent(*arguments["parent"])
from trimtab.runtime.workers import serve
serve(arguments)
"""


class Worker:
    """One worker process, in a session of its own: a Ctrl-C reaches only the parent, which passes it on.

    It imports dotted paths from the same folders as this process, and nothing else from the working folder. Records may
    name the same code as in this process. The worker exits when this process exits, even if it is killed by SIGKILL.
    """

    def __init__(self, work: str, errors: Any, *, events: bool = False) -> None:
        allowed = permission()
        arguments = {
            "trimtab": str(Path(__file__).parents[2]),
            "parent": [os.getpid(), identity(os.getpid())],
            "folders": searched_folders(),
            "code": {"names": sorted(allowed.names), "every": allowed.every},
            "work": work,
            "events": events,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )

    def start(self, task_id: str, task: Task, messages: "Messages") -> None:
        """Start the task. Its events and its result, or None when the process dies, are put into `messages`."""
        threading.Thread(target=self._relay, args=(task_id, task, messages), daemon=True).start()

    def _relay(self, task_id: str, task: Task, messages: "Messages") -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            while line := self.process.stdout.readline():
                message = json.loads(line)
                messages.put((self, task_id, message))
                if "result" in message:
                    return
        except (BrokenPipeError, ValueError):  # it died, possibly in the middle of a line
            pass
        messages.put((self, task_id, None))

    def interrupt(self) -> None:
        """Ask for a checkpoint and the end of the task."""
        self.process.terminate()

    def close(self) -> None:
        """Wait for the running task and end the process."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


Messages = Queue[tuple[Worker, str, dict[str, Any] | None]]
"""Worker, id of its task, and `{"event": …}` or `{"result": …}`; None where the process died."""


def serve(arguments: Mapping[str, Any]) -> None:
    """Run tasks in a worker process until its standard input ends; `arguments` is what `Worker` passes on the command line."""
    allow_imports_from(arguments["folders"])
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a component prints goes to the log, not between the messages

    def send(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    module, _, name = arguments["work"].partition(":")
    work: Work = getattr(importlib.import_module(module), name)
    on_event: OnEvent | None = (lambda event: send({"event": to_plain(event)})) if arguments["events"] else None
    with allowing_code(**arguments["code"]):
        for line in sys.stdin:
            send({"result": work(json.loads(line), on_event)})
