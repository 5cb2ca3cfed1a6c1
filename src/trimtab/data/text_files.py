"""Text files: listing them, checking that they are text, and reading them in blocks."""

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

from trimtab.boundary import leads_outside, open_regular, path_text
from trimtab.data.durable import write_durably
from trimtab.errors import DataError

BLOCK = 1 << 18
"""The bytes that are read at a time."""


class NotTextError(Exception):
    """Bytes that are not UTF-8 text; the message names the first invalid byte and its offset."""


@dataclass(frozen=True)
class Scan:
    """The result of reading a whole file: its SHA-256, or the reason why it is not text."""

    size: int
    sha256: str
    problem: str | None


class TextDecoder:
    """Decodes UTF-8 bytes in blocks.

    A byte order mark at the start is dropped. CRLF and a lone CR become a newline, as in Python's text files.
    """

    def __init__(self) -> None:
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
        self._offset = 0
        self._started = False

    def feed(self, block: bytes, *, final: bool = False) -> str:
        """Returns the text that `block` completes. Raises NotTextError for a NUL and for a byte that is not UTF-8."""
        if (index := block.find(0)) >= 0:
            raise NotTextError(f"byte {self._offset + index} is NUL (a binary file, or text in UTF-16)")
        self._offset += len(block)
        try:
            text = self._decoder.decode(block, final=final)
        except UnicodeDecodeError as error:
            # `error.object` is this block, after the start of a character that the last block cut in two.
            offset = self._offset - len(error.object) + error.start
            raise NotTextError(
                f"byte {offset} (0x{error.object[error.start]:02x}) is not UTF-8 ({error.reason})"
            ) from error
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        return text


def read_text(path: Path, sha256: str) -> Iterator[tuple[str, int]]:
    """Yields the text of a file in blocks, each with the number of bytes read for it.

    `sha256` is the result of the scan. Raises DataError if the file can no longer be read or has changed since the scan.
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
    """Reads a whole file, checks that it is text and computes its SHA-256; calls `advance` with the bytes read so far."""
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
    """The scans of a large corpus, remembered in one file for as long as the sizes and times of change stay the same.

    A damaged memory file is ignored. Call `save` after the scans.
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
        """Returns the scan of a file: the remembered one if the file has not changed."""
        name = path_text(path.absolute())
        try:
            key = _state(path)
            match self._known.get(name):
                case [known, int(size), str(sha256), None | str() as problem] if known == key:
                    result = Scan(size, sha256, problem)
                case _:
                    result = scan(path, advance)
                    if _state(path) != key:
                        return result
        except OSError as error:
            raise unreadable(path, error) from error
        self._new[name] = [key, result.size, result.sha256, result.problem]
        return result

    def save(self) -> None:
        """Writes the memory file if anything changed. Raises WorkError if it cannot be written."""
        if self._new != self._known:
            write_durably(self._memory, json.dumps(self._new).encode())


def _state(path: Path) -> list[int]:
    state = path.stat()
    # Includes the time of the inode change, because tools can reset the modification time but not this one.
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def list_text_files(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Returns the files below a folder, sorted by their path in it, and the entries that cannot be read, with the reason.

    Hidden files and folders (with a leading dot) are ignored. Linked folders are not entered, and a link to a file outside the
    folder is not read. Raises DataError for a folder that may not be listed.
    """

    def fail(error: OSError) -> None:
        raise unreadable(Path(error.filename), error)

    files: list[Path] = []
    unreadable_entries: list[tuple[Path, str]] = []
    for top, folders, names in os.walk(folder, onerror=fail):
        here = Path(top)
        unreadable_entries += [
            (here / name, "a link to a folder") for name in folders if name[0] != "." and (here / name).is_symlink()
        ]
        folders[:] = [name for name in folders if name[0] != "."]
        for path in (here / name for name in names if name[0] != "."):
            reason = _not_a_file(path, folder)
            if reason is None:
                files.append(path)
            else:
                unreadable_entries.append((path, reason))
    return sorted(files, key=lambda path: path.relative_to(folder).parts), sorted(unreadable_entries)


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


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that the system refuses to read."""
    return DataError(
        f"{path_text(path)} cannot be read ({error.strerror}). Check the name in `data.path` and your permission to read it."
    )


def _changed(path: Path) -> DataError:
    return DataError(
        f"{path_text(path)} changed while it was being read, so its content would not match its hash. Run again when no program "
        "writes to it."
    )
