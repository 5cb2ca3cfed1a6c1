"""Many commands in processes of their own without the seconds of an import each: one process imports, its children run.

Run as a program it reads one JSON object a line, `{"argv", "cwd", "output", "seconds"}`, forks a child that is the command
line, and answers by its exit code; `null` where the child had to be killed after `seconds`. It computes nothing itself, so no
thread of torch exists when it forks.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.training.runs import ROOT, environment


class CommandLine:
    """A zygote, and a way to run commands in it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.campaigns.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment() | {"OMP_NUM_THREADS": "1"},
            cwd=ROOT,
            text=True,
        )

    def __enter__(self) -> "CommandLine":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def run(self, *argv: str, cwd: Path, output: Path, seconds: float = 60) -> int | None:
        """The exit code of `trimtab ARGV`, None where it ran for longer than `seconds`; all it prints goes to `output`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"argv": argv, "cwd": str(cwd), "output": str(output), "seconds": seconds}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the zygote died"
        code: int | None = json.loads(line)
        return code


def _serve() -> None:
    import torch

    import trimtab.training  # noqa: F401
    from trimtab.cli.main import main

    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _be(order, main)
        print(json.dumps(_wait(child, order["seconds"])), flush=True)


def _be(order: dict[str, str], main: object) -> None:
    descriptor = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    sys.argv = ["trimtab", *order["argv"]]
    code = 0
    try:
        main()  # type: ignore[operator]
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - what Python itself would do with it
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(child: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    _serve()
