"""Ending a worker process when the process that started it has ended, in whatever way."""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL = 0.2  # seconds between checks


def identity(pid: int) -> str | None:
    """Text that identifies the process `pid` and no later process of the same number; None where there is no such process.

    It is the time at which the process was started. A process that has ended and is not yet collected counts as none.
    """
    if sys.platform.startswith("linux"):
        try:
            # The second field, the program's name, may hold spaces and brackets.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None


def exit_with_parent(pid: int, parent: str | None) -> None:
    """End this process when the process `pid`, whose `identity` was `parent`, has ended; at once when it already has.

    Call it before anything slow is imported. On Linux the kernel kills this process when the thread that started it ends. On
    every system, a thread of this process also checks five times per second that the process `pid` is alive. Without an identity
    (`/proc` is not mounted) the parent's number alone is compared.
    """
    if sys.platform.startswith("linux") and os.getppid() == pid:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Checked after prctl: a parent that died before the call sends no signal.
    if not _is_alive(pid, parent):
        os._exit(1)
    threading.Thread(target=_watch, args=(pid, parent), daemon=True).start()


def _watch(pid: int, parent: str | None) -> None:
    while _is_alive(pid, parent):
        time.sleep(_POLL)
    os._exit(1)


def _is_alive(pid: int, parent: str | None) -> bool:
    return os.getppid() == pid if parent is None else identity(pid) == parent
