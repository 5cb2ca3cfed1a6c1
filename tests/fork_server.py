"""Runs commands in separate processes without importing the package in each: one process imports, and forks a child per command.

As a program it reads one JSON object per line. `{"argv", "cwd", "env", "stdout", "stderr"}` forks a child that runs the command
line; the answer is its process id. `{"pid", "seconds"}` waits for a child; the answer is its exit code, or `null` while it runs. The
server itself computes nothing, so no thread of torch exists when it forks.
"""

import atexit
import functools
import importlib
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class ForkServer:
    """The process that imports and forks."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.fork_server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True,
        )  # fmt: skip
        atexit.register(self.close)

    def ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the fork server died"
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


class Command:
    """`trimtab ARGV` running in a process of its own, in a given folder and environment."""

    def __init__(self, *argv: str, cwd: Path, env: dict[str, str], merged: bool = False) -> None:
        self._server = fork_server()
        folder = tempfile.mkdtemp()
        self._clean = weakref.finalize(
            self, shutil.rmtree, folder
        )  # also where a test fails before the end of the process
        self._streams = [Path(folder) / name for name in ("stdout", "stdout" if merged else "stderr")]
        stdout, stderr = map(str, self._streams)
        order = {"argv": argv, "cwd": str(cwd), "env": env, "stdout": stdout, "stderr": stderr}
        self.pid = int(self._server.ask(order))
        self.returncode: int | None = None

    def poll(self, seconds: float = 0) -> int | None:
        """The exit code, or None if the process runs for longer than `seconds`."""
        if self.returncode is None:
            self.returncode = self._server.ask({"pid": self.pid, "seconds": seconds})
        return self.returncode

    def printed(self) -> str:
        """What it has printed to standard error so far."""
        return self._streams[1].read_text(errors="replace") if self._streams[1].exists() else ""

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def finish(self, seconds: float) -> "subprocess.CompletedProcess[str]":
        """Wait for the end; returns the exit code and what was printed. Kills it after `seconds` and raises `subprocess.TimeoutExpired`."""
        if self.poll(seconds) is None:
            os.kill(self.pid, signal.SIGKILL)
            self.poll(60)
            raise subprocess.TimeoutExpired(f"process {self.pid}", seconds, self._streams[0].read_bytes())
        assert self.returncode is not None
        stdout, stderr = (path.read_text(errors="replace") if path.exists() else "" for path in self._streams)
        self._clean()
        return subprocess.CompletedProcess([], self.returncode, stdout, stderr)


@functools.cache
def fork_server() -> ForkServer:
    """The fork server of this process."""
    return ForkServer()


def _serve() -> None:
    import torch._dynamo  # noqa: F401 - the first optimizer of a process imports it

    import trimtab
    from trimtab.cli.main import main
    from trimtab.reports.style import load_matplotlib

    for module in pkgutil.walk_packages(trimtab.__path__, "trimtab."):
        importlib.import_module(module.name)
    load_matplotlib()
    for line in sys.stdin:
        order = json.loads(line)
        if "argv" not in order:
            print(json.dumps(_wait(order["pid"], order["seconds"])), flush=True)
            continue
        child = os.fork()
        if child == 0:
            _run_command(order, main)
        print(child, flush=True)


def _run_command(order: dict[str, Any], main: Any) -> None:
    os.setsid()
    for stream, path in ((1, order["stdout"]), (2, order["stderr"])):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["trimtab", *order["argv"]]
    code = 0
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - print a traceback, as Python itself does
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(child: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.005)


if __name__ == "__main__":
    _serve()
