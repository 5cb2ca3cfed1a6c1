"""One writer per run: an advisory lock that ends with its process."""

import errno
import fcntl
import os
import socket
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from trimtab.boundary import open_regular, open_to_write, refuse_links
from trimtab.errors import RunError
from trimtab.records.failures import write_failure

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_RETRIES, _PAUSE = 10, 0.05


class RunLock:
    """Holds `path` with `flock` from construction until `release`, the end of the `with` block, or the process's death.

    The file names its holder by process and host. Raises RunError, with that name, when another writer holds the lock, when
    the file system has no locks, and when the folder has a symbolic link at any depth: the holder writes only below the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            refuse_links(self.path.parent)
            self._descriptor = open_to_write(self.path, "append")
        except OSError as error:
            raise write_failure(self.path, error) from error
        try:
            self._acquire()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        except OSError as error:
            self._close()
            raise write_failure(self.path, error) from error
        except RunError:
            self._close()
            raise
        _held.add(self)

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            self._close()

    def _acquire(self) -> None:
        for attempt in range(_RETRIES):  # `is_held` takes a shared lock for an instant and is not a writer
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    raise RunError(
                        f"The file system of {self.path.parent} has no file locks ({error.strerror}), so a second writer "
                        "could not be kept out. Put the run on a local disk (--out)."
                    ) from error
                if error.errno not in _HELD:
                    raise
                if attempt + 1 < _RETRIES:
                    time.sleep(_PAUSE)
        raise RunError(
            f"{self.path.parent} is in use: {_holder(self._descriptor)} is writing to it. "
            "Wait for it to end, stop it, or choose another --out."
        )

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        _held.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_held(path: str | Path) -> bool:
    """Whether some process holds the lock at `path`. False where there is no such file or the file system has no locks."""
    try:
        file = open_regular(path)
    except OSError:
        return False  # never locked, or not readable for us: no holder can be shown
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _HELD
    return False


def _holder(descriptor: int) -> str:
    pid, _, host = os.pread(descriptor, 200, 0).decode(errors="replace").strip().partition(" ")
    if not pid:
        return "another process"
    return f"process {pid}" if host in ("", socket.gethostname()) else f"process {pid} on {host}"


_held: "weakref.WeakSet[RunLock]" = weakref.WeakSet()


def _forget_in_child() -> None:
    # a forked worker shares the lock's open file: if it outlived its killed parent, the run would stay locked
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_forget_in_child)
