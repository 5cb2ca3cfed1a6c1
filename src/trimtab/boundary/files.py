"""Opening files that somebody else may have put there: no FIFOs, devices or links, and no more bytes than expected.

Every refusal is an `OSError` with a `strerror`, so code that already reports unreadable files reports these too.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Literal

RECORD_LIMIT = 64 << 20
"""Bytes that a JSON record of ours (a manifest, a summary, a state) may have."""


class NotRegularFileError(OSError):
    """The path is a folder, a FIFO, a device, a socket or, where links are refused, a link."""


class TooLargeError(OSError):
    """The file has more bytes than the reader accepts."""


def open_regular(path: str | Path, *, follow: bool = True) -> BinaryIO:
    """Open a regular file to read, without waiting for the other end of a FIFO.

    `follow` says whether `path` may be a symbolic link. Raises `NotRegularFileError` for anything but a regular file and
    `OSError` as `open` does.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = _open(Path(path), flags)
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | Path, *, at_most: int = RECORD_LIMIT, follow: bool = True) -> bytes:
    """The bytes of a regular file of at most `at_most` bytes.

    Raises `TooLargeError`, `NotRegularFileError`, and `OSError` as `open` does.
    """
    with open_regular(path, follow=follow) as file:
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise TooLargeError(errno.EFBIG, f"it has more than {at_most:,} bytes", str(path))
    return data


def leads_outside(path: Path, folder: Path) -> bool:
    """Whether a path below a folder is, through symbolic links, a file or folder that is not below it."""
    # `Path.resolve` raises at a link that leads to itself.
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def folders_above(path: str | Path) -> list[Path]:
    """Every folder above a file: those of its real path, nearest first, and those above each symbolic link on the way to it."""
    here, rest = Path("/"), list((Path.cwd() / path).parts)
    above, links = dict[Path, None](), 0
    while rest:
        part = rest.pop(0)
        here = here.parent if part == ".." else here / part
        if here.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                break
            above |= dict.fromkeys(here.parents)
            rest = [*here.readlink().parts, *rest]
            here = here.parent
    return list(dict.fromkeys(here.parents) | above)


_MOST_LINKS = 40
"""Links that Linux follows to one file."""


def open_to_write(path: str | Path, mode: Literal["append", "new", "update"]) -> int:
    """A descriptor to write a regular file with, which is never reached through a symbolic link.

    `append` creates a missing file and writes at its end, `new` needs the name to be free, `update` needs the file to exist.
    All three may read too. Raises `NotRegularFileError` for a link or anything but a regular file and `OSError` as `open` does.
    """
    flags = {
        "append": os.O_RDWR | os.O_CREAT | os.O_APPEND,
        "new": os.O_RDWR | os.O_CREAT | os.O_EXCL,
        "update": os.O_RDWR,
    }[mode]
    return _open(Path(path), flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)


def inside(root: str | Path, *names: str) -> Path:
    """The path `root/names…`, to write at: no link below `root` is on the way there, and the last name is not a link either.

    `root` itself may be reached through links: its path is the user's own. Makes nothing. Raises `NotRegularFileError`.
    """
    path = Path(root)
    for name in names:
        path /= name
        if path.is_symlink():
            raise _is_a_link(path)
    return path


def refuse_links(root: str | Path) -> None:
    """Raise `NotRegularFileError`, naming the link, if there is a symbolic link at any depth below the folder `root`."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise _is_a_link(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)


def _is_a_link(path: str | Path) -> NotRegularFileError:
    return NotRegularFileError(errno.ELOOP, "it is a symbolic link, which is not followed here", str(path))


def _open(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise _is_a_link(path) from error
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise NotRegularFileError(errno.EINVAL, "it is not a regular file", str(path)) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotRegularFileError(errno.EINVAL, f"it is {_kind(mode)}, not a regular file", str(path))
    return descriptor


def kind_of_file(path: str | Path) -> str | None:
    """What is at a path, in words: `a FIFO`; None where there is nothing. A link is what it leads to."""
    try:
        return _kind(Path(path).stat().st_mode)
    except OSError as error:
        if Path(path).is_symlink():
            return "a symbolic link that leads nowhere"
        return None if isinstance(error, FileNotFoundError | NotADirectoryError) else "a file that cannot be accessed"


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "a file"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((word for test, word in kinds if test(mode)), "something else")
