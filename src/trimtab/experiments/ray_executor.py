"""The executor that runs jobs on a Ray cluster: on one that it starts on this machine, or on one that is there.

Ray gives out processors and carries jobs and results as JSON. A job itself runs in a worker process of Trimtab, as with the
executor `processes`, so its bits, its signals and its end are the same. The nodes need the same file system, working folder
and environment.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trimtab.boundary import shortened
from trimtab.boundary.own_code import allow_imports_from, searched_folders
from trimtab.config import ConfigError, RunError
from trimtab.config.permission import allowing_code, permission
from trimtab.experiments.executor import Executor, OnJobEvent, Result
from trimtab.experiments.jobs import Job
from trimtab.experiments.ray_worker import PROBE, conditions, differences
from trimtab.records.cpus import usable_cpus
from trimtab.runtime.workers import Pool

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Ray sends no usage statistics, and takes the Python environment as it is."""
_OBJECTS = 80 << 20
"""Bytes of Ray's shared memory, the least that it takes: jobs and results are small."""
_ANSWER = 5.0
"""Seconds in which a cluster must answer."""
_STARTS = 3
"""Failed starts of actors in a row after which the cluster is given up."""
_LOST = 60.0
"""Seconds to wait for an actor to end."""


class Slot:
    """An actor: runs one job at a time in a worker process on its node.

    Its methods take and return JSON. `interrupt` may be called while `run` is at work.
    """

    def __init__(self, setup: str) -> None:
        given = json.loads(setup)
        self._expected, self._code = given["conditions"], given["code"]
        self._node = socket.gethostname()
        for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):  # Ray sets the first, and the worker process inherits it
            os.environ.pop(name, None)
        os.environ.update(given["variables"])
        os.chdir(given["folder"])
        allow_imports_from(given["folders"])
        self._pool = Pool(1, "trimtab.experiments.ray_worker:run_or_probe", Path(given["log"]))
        self._checked = False

    def started(self) -> bool:
        """Whether the actor has started: true, as soon as it has."""
        return True

    def run(self, job_id: str, task: str) -> str:
        """Run a job and return its result; before the first, compare the node with the machine that the jobs come from."""
        with allowing_code(**self._code):
            if not self._checked:
                theirs = self._result("probe", PROBE)
                if theirs is None:
                    return json.dumps({"status": "lost"})
                if wrong := differences(self._expected, theirs):
                    return json.dumps({"status": "refused", "node": self._node, "differences": wrong})
                self._checked = True
            result = self._result(job_id, json.loads(task))
        return json.dumps({"status": "lost"} if result is None else result)

    def _result(self, task_id: str, task: dict[str, Any]) -> Result | None:
        self._pool.submit(task_id, task)
        while (ended := self._pool.next(1.0)) is None:
            pass
        return ended[1]

    def interrupt(self) -> None:
        """Ask the job for a checkpoint and its end."""
        self._pool.interrupt()

    def close(self) -> None:
        """Wait for the job and end the worker process."""
        self._pool.stop()


class RayExecutor:
    """Runs up to `slots` jobs at a time, each in an actor with one processor.

    Without an `address`, Ray is started on this machine and ended with the executor; everything listens on the loopback
    address only. With 0 slots there are as many as the cluster has processors. A job whose node or actor dies is `lost`.
    Raises `ConfigError` where Ray is not installed or the cluster does not answer, and `RunError` for a node that computes
    other bits.
    """

    def __init__(self, slots: int, log: Path, address: str | None = None) -> None:
        self._temporary: Path | None = None
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if address is None or address.startswith(("127.", "localhost:", "[::1]:")):
            # Read when ray is imported: without it, Ray replaces a loopback address by one that other machines can reach.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        if address is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="tt-ray-", dir="/tmp"))
            # A token that is not written into the user's home.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        self._ray = _imported()
        self._begin(slots, address)
        self.slots = slots or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        allowed = permission()
        self._setup = json.dumps(
            {
                "conditions": conditions(),
                "code": {"names": sorted(allowed.names), "every": allowed.every},
                "variables": {k: v for k, v in os.environ.items() if k in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")},
                "folder": str(Path.cwd()),
                "folders": searched_folders(),
                "log": str(log.resolve()),
            }
        )
        self._slot = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0, max_concurrency=2)(Slot)
        self._waiting: list[tuple[str, str]] = []
        """Jobs without an actor: id and message."""
        self._starting: dict[Any, Any] = {}
        """Actors by the reference to their start; one without a free processor starts when there is one."""
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[str, Any]] = {}
        self._interrupted: list[str] = []
        """Jobs that were interrupted before they had an actor."""
        self._failed_starts = 0

    def _begin(self, slots: int, address: str | None) -> None:
        ray = self._ray
        common = {"log_to_driver": False, "configure_logging": False, "namespace": "trimtab"}
        with _own_signals():
            if address is None:
                ray.init(
                    address="local",
                    num_cpus=slots or usable_cpus(),
                    include_dashboard=False,
                    object_store_memory=_OBJECTS,
                    _temp_dir=str(self._temporary),
                    **common,
                )
                return
            _check_answers(address)
            try:
                ray.init(address=address, **common)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"--executor ray:{address}: the cluster cannot be joined: {reason}") from error

    def submit(self, job: Job) -> None:
        """Keep the job for the next idle actor."""
        message = job.message
        for key in ("folder", "parent"):
            if message[key] is not None:
                message[key] = str(Path(message[key]).absolute())
        self._waiting.append((job.id, json.dumps(message)))

    def _assign(self) -> None:
        """Give waiting jobs to idle actors, and start as many actors as further ones need."""
        while self._waiting and self._idle:
            job_id, message = self._waiting.pop(0)
            actor = self._idle.pop()
            self._running[actor.run.remote(job_id, message)] = (job_id, actor)
        for _ in range(len(self._waiting) - len(self._starting)):
            actor = self._slot.remote(self._setup)
            self._starting[actor.started.remote()] = actor

    def next(self, timeout: float) -> tuple[str, Result] | None:
        """The id and the result of a job that has ended. Raises `RunError` for a node that computes other bits."""
        if self._interrupted:
            return self._interrupted.pop(0), {"status": "interrupted"}
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            self._assign()
            pending = [*self._running, *self._starting]
            if not pending:
                time.sleep(left)
                return None
            ready, _ = self._ray.wait(pending, num_returns=1, timeout=left)
            if not ready:
                return None
            if (actor := self._starting.pop(ready[0], None)) is not None:
                self._take_started(ready[0], actor)
                continue
            job_id, actor = self._running.pop(ready[0])
            value = self._value(ready[0])
            if value is None:
                return job_id, {"status": "lost"}
            self._idle.append(actor)
            result: Result = json.loads(value)
            if result["status"] == "refused":
                raise RunError(
                    f"The Ray node '{result['node']}' would compute other results than this machine: "
                    f"{'; '.join(result['differences'])}. Remove the node from the cluster, or make it alike."
                )
            return job_id, result
        return None

    def _take_started(self, reference: Any, actor: Any) -> None:
        """Take an actor that has started. Raises `RunError` if several in a row could not."""
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                reason = " ".join(str(error).split())
                raise RunError(
                    f"Ray could not start an actor, {_STARTS} times in a row. The nodes need this folder and this Python "
                    f"environment. Ray says: {shortened(reason, 600)}"
                ) from error
            return
        self._failed_starts = 0
        self._idle.append(actor)

    def _value(self, reference: Any) -> Any:
        """What an actor returned; None if it died. Raises `RunError` if it failed."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayActorError:
            return None
        except self._ray.exceptions.RayTaskError as error:
            raise RunError(f"An actor of Ray failed: {shortened(' '.join(str(error).split()), 600)}") from error

    def interrupt(self) -> None:
        """Ask every running job for a checkpoint and its end; those that wait for an actor are interrupted at once."""
        self._interrupted += [job_id for job_id, _ in self._waiting]
        self._waiting.clear()
        for _, actor in self._running.values():
            actor.interrupt.remote()

    def stop(self) -> None:
        """Wait for the running jobs, end the worker processes, and leave the cluster, or end it if it was started here."""
        ray = self._ray
        self._waiting.clear()
        actors = [*self._idle, *(actor for _, actor in self._running.values())]
        if self._running:
            ray.wait(list(self._running), num_returns=len(self._running))
        closing = [actor.close.remote() for actor in actors]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=_LOST)
        for actor in [*actors, *self._starting.values()]:
            ray.kill(actor)
        with _own_signals():
            ray.shutdown()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _imported() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--executor ray needs the package ray. Install it with: pip install 'trimtab[ray]'"
        ) from error
    return ray


def _check_answers(address: str) -> None:
    """Raise `ConfigError` unless something listens at HOST:PORT, within seconds; `auto` is left to Ray."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"--executor ray:{address}: the address of a cluster is HOST:PORT, or auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--executor ray:{address}: nothing answers there ({error}). Start a cluster with `ray start --head --port {port}` "
            "on that machine, or leave the address out to use this machine alone."
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ray_executor(workers: int, log: Path, on_event: OnJobEvent | None, address: str | None = None) -> Executor:
    """The executor of the name `ray`. It passes on no events of running jobs."""
    del on_event
    return RayExecutor(workers, log, address)
