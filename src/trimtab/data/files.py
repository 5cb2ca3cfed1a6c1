"""Text files: finding them, checking that they are text, and reading them in blocks."""

import codecs
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import leads_outside, open_regular
from trimtab.data.durable import write_durably
from trimtab.errors import DataError

BLOCK = 1 << 18
"""Bytes read at a time."""


class NotTextError(Exception):
    """Bytes that are not UTF-8 text; the message says what stands at which byte offset."""


@dataclass(frozen=True)
class Scan:
    """What one full read of a file found: its SHA-256, or the reason why it is no text."""

    size: int
    sha256: str
    problem: str | None


class TextDecoder:
    """UTF-8 bytes, fed in blocks, to text.

    A byte order mark at the start is dropped; CRLF and a lone CR become a newline, as Python's own text files read them.
    """

    def __init__(self) -> None:
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
        self._offset = 0
        self._started = False

    def feed(self, block: bytes, *, final: bool = False) -> str:
        """The text that `block` completes; raises NotTextError at a NUL or a byte that is not UTF-8."""
        if (place := block.find(0)) >= 0:
            raise NotTextError(f"byte {self._offset + place} is NUL (a binary file, or text in UTF-16)")
        self._offset += len(block)
        try:
            text = self._decoder.decode(block, final=final)
        except UnicodeDecodeError as error:
            # The decoder holds back the start of a character cut by the last block: `object` is that and this block.
            place = self._offset - len(error.object) + error.start
            raise NotTextError(
                f"byte {place} (0x{error.object[error.start]:02x}) is not UTF-8 ({error.reason})"
            ) from error
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        return text


def read_text(path: Path, sha256: str) -> Iterator[tuple[str, int]]:
    """A file's text in blocks, with the bytes read for each; `sha256` is what the scan found.

    Raises DataError when the file can no longer be read or is no longer what was scanned.
    """
    digest = hashlib.sha256()
    decoder = TextDecoder()
    try:
        with open_regular(path) as file:
            while block := file.read(BLOCK):
                digest.update(block)
                yield decoder.feed(block), len(block)
        yield decoder.feed(b"", final=True), 0
    except OSError as error:
        raise unreadable(path, error) from error
    except NotTextError as error:
        raise _changed(path) from error
    if digest.hexdigest() != sha256:
        raise _changed(path)


def scan(path: Path, advance: Callable[[int], None] | None = None) -> Scan:
    """Read a file once: is it text, and what is its SHA-256? `advance` receives the number of bytes read so far."""
    digest = hashlib.sha256()
    decoder = TextDecoder()
    size = 0
    try:
        with open_regular(path) as file:
            while block := file.read(BLOCK):
                if size and advance is not None:
                    advance(size)
                size += len(block)
                digest.update(block)
                decoder.feed(block)
        decoder.feed(b"", final=True)
    except NotTextError as error:
        return Scan(path.stat().st_size, "", str(error))
    except OSError as error:
        raise unreadable(path, error) from error
    return Scan(size, digest.hexdigest(), None)


class ScanMemory:
    """The scans of a large corpus, remembered in one file for as long as the files' sizes and times of change stay.

    A damaged memory is as good as none. Use it, then `save` it.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._new: dict[str, list[Any]] = {}
        try:
            known = json.loads(memory.read_bytes())
        except (OSError, ValueError):
            known = None
        self._known: dict[str, Any] = known if isinstance(known, dict) else {}

    def scan(self, path: Path, advance: Callable[[int], None] | None = None) -> Scan:
        """What `scan` finds, or found the last time if the file is as it was then."""
        name = shown(path.absolute())
        try:
            key = _state(path)
            match self._known.get(name):
                case [known, int(size), str(sha256), None | str() as problem] if known == key:
                    found = Scan(size, sha256, problem)
                case _:
                    found = scan(path, advance)
                    if _state(path) != key:
                        return found
        except OSError as error:
            raise unreadable(path, error) from error
        self._new[name] = [key, found.size, found.sha256, found.problem]
        return found

    def save(self) -> None:
        """Write down what was found, if it is not what was known. Raises WorkError where that cannot be written."""
        if self._new != self._known:
            write_durably(self._memory, json.dumps(self._new).encode())


def _state(path: Path) -> list[int]:
    state = path.stat()
    # The time of the inode's change is in, since unlike the modification time no tool sets it back.
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def text_files(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files below a folder, sorted by their path in it, and those that cannot be read as files, with the reason.

    Hidden files and folders (a leading dot) are ignored, linked folders are not entered, and a link to a file outside the
    folder cannot be read. Raises DataError for a folder that may not be listed.
    """

    def fail(error: OSError) -> None:
        raise unreadable(Path(error.filename), error)

    files: list[Path] = []
    odd: list[tuple[Path, str]] = []
    for top, folders, names in os.walk(folder, onerror=fail):
        here = Path(top)
        odd += [
            (here / name, "a link to a folder") for name in folders if name[0] != "." and (here / name).is_symlink()
        ]
        folders[:] = [name for name in folders if name[0] != "."]
        for path in (here / name for name in names if name[0] != "."):
            reason = _not_a_file(path, folder)
            if reason is None:
                files.append(path)
            else:
                odd.append((path, reason))
    return sorted(files, key=lambda path: path.relative_to(folder).parts), sorted(odd)


def _not_a_file(path: Path, folder: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a broken link"
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return "a link to a file outside the folder" if path.is_symlink() and leads_outside(path, folder) else None


def shown(path: Path) -> str:
    """A path for people and JSON: names that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def unreadable(path: Path, error: OSError) -> DataError:
    """The DataError for a file or folder that the system refuses to read."""
    return DataError(
        f"{shown(path)} cannot be read ({error.strerror}). Check the name in `data.path` and your permission to read it."
    )


def _changed(path: Path) -> DataError:
    return DataError(
        f"{shown(path)} changed while it was being read, so that its tokens would belong to no known text. Run again when "
        "nothing writes to it any more."
    )
