"""The error for a write that fails."""

import errno
from pathlib import Path

from trimtab.boundary import NotRegularFileError
from trimtab.errors import RunError, TrimtabError, WorkError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space on it"),
    errno.EDQUOT: ("your quota on this disk is used up", "Free some space in it"),
    errno.EFBIG: ("the file would grow past the size limit of this process", "Raise the limit (`ulimit -f unlimited`)"),
    errno.EROFS: ("the disk is mounted read-only", "Make it writable or choose another folder"),
    errno.EACCES: ("this user may not write there", "Change the permissions or choose another folder"),
    errno.EIO: ("the disk reported an input/output error", "Check the disk"),
}


AGAIN = (
    "run the command again (a training run that has made a step continues with `trimtab resume`). Files written before are "
    "complete."
)


def write_failure(path: Path, error: OSError, again: str = AGAIN) -> TrimtabError:
    """The error to raise, from `error`, when writing `path` failed: the file, what happened, what to do.

    `again` says how to continue once the cause is gone, and from where. A link or anything but a regular file
    in the place of one of ours is wrong input (`RunError`); the rest is a `WorkError`.
    """
    if isinstance(error, NotRegularFileError):
        return refused_place(error, path)
    happened, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error), "Remove the cause"))
    return WorkError(f"Could not write {path}: {happened}. {remedy}, then {again}")


def refused_place(error: NotRegularFileError, path: Path) -> RunError:
    """The error to raise where something else than a file or folder of ours is in its place, which is left untouched."""
    return RunError(
        f"Nothing was written to {error.filename or path}: {error.strerror}. Trimtab writes only to files and folders that lie "
        "below the folder it was given. Put the file or folder itself there, or choose another --out."
    )
