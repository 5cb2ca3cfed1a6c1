"""Files and folders that appear whole or not at all, whatever kills the writer."""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from trimtab.boundary import open_to_write
from trimtab.records.failures import write_failure
from trimtab.records.values import to_json

_LEFTOVER = re.compile(r"^\.(?P<kind>tmp|trash|old)-(?P<name>.+)-(?P<pid>\d+)$")
_in_progress: set[Path] = set()  # what this process is writing now: not a leftover, though its pid may be a dead one's


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented strict JSON (see `values.to_json`), atomically. Raises WorkError when the disk refuses."""
    text = json.dumps(to_json(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically. Raises WorkError when the disk refuses."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))  # a lone surrogate in JSON becomes its own escape


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file beside its target, fsync it, rename it over the target, fsync the folder.

    A reader sees the old content or the new, never a part. Raises WorkError when the disk refuses; the old file is kept.
    """
    path = Path(path)
    with _temporary(path) as temporary:
        with os.fdopen(open_to_write(temporary, "new"), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)


@contextmanager
def atomic_directory(target: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, `.tmp-<name>-<pid>` beside `target`; it becomes `target` when the block ends without an error.

    Every file and folder in it is fsynced before the rename, and the parent after it; every file gets the mode that the umask
    gives new files, whatever the library that wrote it chose. On an error (Ctrl-C included) it is
    removed; an OSError becomes a WorkError. A kill leaves a folder that `clean_leftovers` removes. With `replace` an
    existing `target` is moved aside first, and comes back by `clean_leftovers` if a kill falls between the two renames.
    Raises FileExistsError when `target` exists and `replace` is false.
    """
    target = Path(target)
    if target.exists() and not replace:
        raise FileExistsError(f"{target} exists")
    with _temporary(target) as temporary:
        temporary.mkdir(parents=True)
        yield temporary
        _sync_tree(temporary, stat.S_IMODE(temporary.stat().st_mode) & 0o666)
        _rename_over(temporary, target)


def remove_tree_atomically(path: str | Path) -> None:
    """Remove a file or folder so that its name vanishes at once: rename it to a trash name, then delete that.

    Raises WorkError when it is not there or the disk refuses.
    """
    path = Path(path)
    trash = _beside(path, "trash")
    try:
        _delete(trash)
        path.rename(trash)
        sync_folder(path.parent)
        _delete(trash)
    except OSError as error:
        raise write_failure(path, error) from error


def clean_leftovers(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed writers left directly in `folder`; returns them.

    The files of writes in progress, in this process or another, are kept. A folder that was moved aside for a replacement that
    was never written is moved back. A missing folder has no leftovers.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    leftovers = []
    for path in sorted(folder.iterdir()):
        match = _LEFTOVER.match(path.name)
        if match is None or path.absolute() in _in_progress or _is_another_process(int(match["pid"])):
            continue
        leftovers.append(path)
        original = folder / match["name"]
        if match["kind"] == "old" and not original.exists():
            path.rename(original)
        else:
            _delete(path)
    if leftovers:
        sync_folder(folder)
    return leftovers


def is_leftover(name: str) -> bool:
    """Whether a file name is that of a temporary file of this module."""
    return _LEFTOVER.match(name) is not None


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries (renames, removals) are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A temporary name to write to, removed at the end if it still exists. Any OSError becomes a WorkError."""
    temporary = _beside(target, "tmp")
    key = temporary.absolute()
    try:
        _delete(temporary)  # in a container every process may have the same pid: this one is a dead process's
        _in_progress.add(key)
        try:
            yield temporary
        finally:
            _in_progress.discard(key)
            _delete(temporary)
    except OSError as error:
        raise write_failure(target, error) from error


def _beside(path: Path, kind: str) -> Path:
    return path.parent / f".{kind}-{path.name}-{os.getpid()}"


def _rename_over(source: Path, target: Path) -> None:
    old = _beside(target, "old")
    if not target.exists():
        source.rename(target)
        sync_folder(target.parent)
        return
    _delete(old)
    target.rename(old)
    try:
        source.rename(target)
    except OSError:
        old.rename(target)
        raise
    sync_folder(target.parent)
    _delete(old)


def _sync_tree(folder: Path, mode: int) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _sync_tree(path, mode)
        else:
            with path.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
                    with suppress(PermissionError):  # a file system without modes
                        os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
    sync_folder(folder)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_another_process(pid: int) -> bool:
    return pid != os.getpid() and psutil.pid_exists(pid)
