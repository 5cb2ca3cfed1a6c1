"""A corpus: the text of files or folders, or the documentation that is part of every Python."""

import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from trimtab.boundary import path_text, user_path
from trimtab.config.model_paths import cache_folder
from trimtab.data import text_files
from trimtab.data.report import FileEntry, SkippedFile
from trimtab.data.text_files import Scan, ScanMemory
from trimtab.errors import DataError
from trimtab.runtime.events import OnEvent, Progress

_READING = "reading the corpus"
"""The stage in which the text is checked."""

REMEMBER_ABOVE = 256 << 20
"""From this size in bytes on, scans are remembered, so that the files are not read again just to detect changes."""

EMBEDDED_NAME = "pydoc_data.topics"


@dataclass(frozen=True)
class Document:
    """One text of a corpus: a file, or a text in memory (`path` None). `size` is in bytes, and `sha256` is of the raw bytes."""

    name: str
    size: int
    sha256: str
    path: Path | None = None
    text: str = field(default="", repr=False)

    def blocks(self) -> Iterator[tuple[str, int]]:
        """Yields the text in blocks, each with the number of bytes read for it."""
        if self.path is None:
            yield self.text, self.size
        else:
            yield from text_files.read_text(self.path, self.sha256)


@dataclass(frozen=True)
class Corpus:
    """Documents in order. A document that does not end with a newline is joined to the next one by a newline."""

    name: str
    documents: tuple[Document, ...]
    skipped: tuple[SkippedFile, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all documents."""
        return sum(document.size for document in self.documents)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The names and sizes of the documents."""
        return tuple(FileEntry(document.name, document.size) for document in self.documents)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the SHA-256 values of the documents in order. The names of the files do not matter."""
        return hashlib.sha256("\n".join(document.sha256 for document in self.documents).encode()).hexdigest()

    def blocks(self, events: OnEvent | None = None) -> Iterator[str]:
        """Yields the whole text in blocks; emits `Progress` of the stage "encoding the corpus", in bytes."""
        bytes_read = 0
        newline = True
        for document in self.documents:
            started = False
            for text, size in document.blocks():
                bytes_read += size
                if text:
                    # Not earlier, because a document that is only a byte order mark must not add a newline.
                    yield text if started or newline else "\n" + text
                    started, newline = True, text[-1] == "\n"
                if events is not None and size:
                    events(Progress("encoding the corpus", "byte", bytes_read, self.size))


def open_corpus(source: str | list[str] | None, events: OnEvent | None = None) -> Corpus:
    """Finds and checks the text of `data.path`: None (the built-in corpus), a file, a folder, or a list of these.

    Files are UTF-8. A byte order mark is dropped, and CRLF and a lone CR are read as a newline. In a folder, hidden files and
    folders are ignored; links to files outside the folder and files that are not text are skipped and listed in the report. A
    file that is named directly may be a link, and must be text. Raises DataError for a path that does not exist, cannot be read,
    or is neither a file nor a folder, and for a file that is empty or not text.
    """
    if source is None:
        return embedded_corpus()
    named = [source] if isinstance(source, str) else source
    if not named:
        raise DataError(
            "`data.path` is an empty list. Name at least one text file or folder, or null for the built-in corpus."
        )
    paths: list[tuple[Path, Path | None]] = []
    skipped: list[SkippedFile] = []
    for text in named:
        path = _existing(text)
        if path.is_dir():
            files, unreadable = text_files.list_text_files(path)
            paths += [(file, path) for file in files]
            skipped += [SkippedFile(_within(path, file), 0, reason) for file, reason in unreadable]
        elif path.is_file():
            paths.append((path, None))
        else:
            raise DataError(
                f"The corpus '{text}' is neither a regular file nor a folder. Name a text file or a folder."
            )
    documents, not_text = _scan_all(paths, named, events)
    skipped = sorted(skipped + not_text)
    if not documents:
        examples = "".join(f"; {entry.name}: {entry.reason}" for entry in skipped[:3])
        raise DataError(
            f"There is no text in {', '.join(named)} ({len(skipped)} files were skipped{examples}). Hidden files are ignored. "
            "Name a folder with UTF-8 text files."
        )
    name = path_text(Path(user_path(named[0]).resolve().name))
    return Corpus(name if len(named) == 1 else f"{name} and {len(named) - 1} more", documents, tuple(skipped))


def _existing(text: str) -> Path:
    path = user_path(text, "data.path")
    if path.exists():
        return path
    absolute = "" if path.is_absolute() and str(path) == text else f" (looked for {path_text(path.absolute())})"
    raise DataError(
        f"The corpus '{text}' does not exist{absolute}. Name a text file or a folder in "
        "`data.path`, or null for the built-in corpus."
    )


def embedded_corpus() -> Corpus:
    """Returns the CPython language documentation, `pydoc_data.topics`, in the sorted order of its keys.

    It differs between Python versions, and so does its fingerprint. Raises DataError if this Python does not include it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            f"This Python ({platform.python_version()}) does not include pydoc_data.topics, the built-in corpus. Install the "
            "full standard library, or name a text file of your own in `data.path`."
        ) from error
    # Each topic ends with a newline, as if it were a separate file.
    text = "".join(topics[key] if topics[key].endswith("\n") else topics[key] + "\n" for key in sorted(topics))
    content = text.encode()
    document = Document(EMBEDDED_NAME, len(content), hashlib.sha256(content).hexdigest(), text=text)
    return Corpus(EMBEDDED_NAME, (document,))


def _scan_all(
    paths: list[tuple[Path, Path | None]], named: list[str], events: OnEvent | None
) -> tuple[tuple[Document, ...], list[SkippedFile]]:
    """Scans files, each with the folder that contains it. A file that was named directly has None, and is never skipped."""
    sizes = [_size(path) for path, _ in paths]
    total = sum(sizes)
    memory = ScanMemory(_memory_file(named)) if total > REMEMBER_ABOVE else None
    documents: list[Document] = []
    skipped: list[SkippedFile] = []
    bytes_read = 0
    for (path, folder), size in zip(paths, sizes, strict=True):
        advance = None if events is None else partial(_advance, events, bytes_read, total)
        result = text_files.scan(path, advance) if memory is None else memory.scan(path, advance)
        bytes_read += size
        if events is not None:
            events(Progress(_READING, "byte", bytes_read, total))
        reason = result.problem if result.size else "empty"
        if reason is None:
            documents.append(Document(path_text(path), result.size, result.sha256, path))
        elif folder is None:
            raise _not_text(path, result)
        else:
            skipped.append(SkippedFile(_within(folder, path), result.size, reason))
    if memory is not None:
        memory.save()
    return tuple(documents), skipped


def _within(folder: Path, path: Path) -> str:
    """The path of a file, starting with the name of the corpus folder."""
    return path_text(path.relative_to(folder.parent))


def _advance(events: OnEvent, before: int, total: int, read: int) -> None:
    events(Progress(_READING, "byte", before + read, total))


def _memory_file(named: list[str]) -> Path:
    """The file in which the scans of the paths in `data.path` are remembered."""
    key = hashlib.sha256("\n".join(path_text(Path(text).absolute()) for text in named).encode()).hexdigest()
    return cache_folder() / "scans" / f"{key}.json"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise text_files.unreadable(path, error) from error


def _not_text(path: Path, result: Scan) -> DataError:
    if not result.size:
        return DataError(f"The corpus file {path_text(path)} is empty. Name a file with text in it.")
    return DataError(
        f"The corpus file {path_text(path)} is not UTF-8 text: {result.problem}. Convert it (for example with "
        "`iconv -f LATIN1 -t UTF-8 old.txt > new.txt`, or -f UTF-16) or name another file."
    )
