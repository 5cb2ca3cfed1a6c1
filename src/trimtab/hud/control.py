"""Starting, stopping and killing runs. They are processes of their own, which outlive the screen and its terminal."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trimtab.boundary import open_regular
from trimtab.errors import RunError, WorkError
from trimtab.records.lock import is_held

HOME = ".hud"
"""The folder, within that of the runs, for what the screen keeps: logs of starts and the history."""

_STARTED: list["subprocess.Popen[bytes]"] = []
"""Runs that this process started. They are polled, so that ended ones do not remain as zombies."""


def hud_folder(runs: Path) -> Path:
    """The screen's own folder; made where it is missing. Raises `WorkError` where that is not possible."""
    folder = runs / HOME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(
            f"Cannot make the folder {folder}: {error.strerror}. Give `trimtab hud` another folder."
        ) from error
    return folder


def start(command: Sequence[str], runs: Path, name: str) -> Path:
    """Start `trimtab` with these arguments in a session of its own, and return the file that its output goes to.

    The run's folder must be empty at its start, so the log is in the screen's own folder. Raises `WorkError` where the process
    cannot be started.
    """
    folder = hud_folder(runs) / "logs"
    folder.mkdir(exist_ok=True)
    log = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[-60:]}.log"
    environment = {**os.environ, "COLUMNS": "200"}
    try:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "trimtab.cli.main", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
    except OSError as error:
        raise WorkError(f"Cannot start `{written(command)}`: {error.strerror}. Start it in a shell.") from error
    reap()
    _STARTED.append(process)
    return log


def reap() -> None:
    """Take note of the started processes that have ended."""
    _STARTED[:] = [process for process in _STARTED if process.poll() is None]


def forget_started() -> None:
    """Before this process ends: the runs go on and are no longer ours."""
    for process in _STARTED:
        process.returncode = process.poll() or 0
    _STARTED.clear()


def written(command: Sequence[str]) -> str:
    """A command as one types it into a shell."""
    return shlex.join(["trimtab", *command])


def holder(folder: Path) -> tuple[int, str] | None:
    """Process and host that hold the lock of a run, as the lock says; None where nobody holds it."""
    path = folder / ".lock"
    if not is_held(path):
        return None
    try:
        with open_regular(path) as file:
            pid, _, host = file.read(200).decode(errors="replace").strip().partition(" ")
    except OSError:
        return None
    return (int(pid), host) if pid.isdecimal() else None


def send(folder: Path, number: signal.Signals) -> None:
    """Send a signal to the process that writes a run, after all doubts are out: the lock is held, on this host, by this process.

    A process number may have been given to another process meanwhile; so the process is held by a descriptor, and then it is
    checked that it has the run's lock file open. Raises `RunError`, without a signal sent, where anything does not fit.
    """
    found = holder(folder)
    if found is None:
        raise RunError(f"No process is writing to {folder}, so there is nothing to stop.")
    pid, host = found
    if host != socket.gethostname():
        raise RunError(f"{folder} is written by process {pid} on {host or 'an unknown host'}. Stop it there.")
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        raise RunError(f"The process {pid} that wrote {folder} has ended ({error.strerror}).") from error
    try:
        if holder(folder) != found or not _has_open(pid, folder / ".lock"):
            raise RunError(
                f"Process {pid} is not the one that writes {folder}; no signal was sent. Look again in a moment."
            )
        try:
            signal.pidfd_send_signal(descriptor, number)
        except OSError as error:
            raise RunError(f"No signal could be sent to process {pid}: {error.strerror}.") from error
    finally:
        os.close(descriptor)


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        wanted = path.stat()
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            status = descriptor.stat()
            if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def stop(folder: Path) -> None:
    """Ask a run to stop after a checkpoint. Raises `RunError` as `send` does."""
    send(folder, signal.SIGTERM)


def kill(folder: Path) -> None:
    """End a run at once; what the last checkpoint has is kept. Raises `RunError` as `send` does."""
    send(folder, signal.SIGKILL)
