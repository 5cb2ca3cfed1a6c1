"""What a user is told when a write fails."""

import errno
from pathlib import Path

from trimtab.errors import WorkError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space on it"),
    errno.EDQUOT: ("your quota on this disk is used up", "Free some space in it"),
    errno.EFBIG: ("the file would grow past the size limit of this process", "Raise the limit (`ulimit -f unlimited`)"),
    errno.EROFS: ("the disk is mounted read-only", "Make it writable or choose another folder"),
    errno.EACCES: ("this user may not write there", "Change the permissions or choose another folder"),
    errno.EIO: ("the disk reported an input/output error", "Check the disk"),
}


AGAIN = "run the command again (a training run goes on with `trimtab resume`). What was written before is whole."


def write_failure(path: Path, error: OSError, again: str = AGAIN) -> WorkError:
    """The error to raise, from `error`, when writing `path` failed: the file, what happened, what to do.

    `again` says how to go on once the cause is gone, and what there is to go on from.
    """
    happened, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error), "Remove the cause"))
    return WorkError(f"Could not write {path}: {happened}. {remedy}, then {again}")
