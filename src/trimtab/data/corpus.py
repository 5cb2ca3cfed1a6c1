"""A corpus: the text of one or many files, of a folder, or the one that every Python carries."""

import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from trimtab.boundary import user_path
from trimtab.config.model_paths import cache_folder
from trimtab.data import files
from trimtab.data.files import Scan, ScanMemory, shown
from trimtab.data.report import FileEntry, SkippedFile
from trimtab.errors import DataError
from trimtab.runtime.events import OnEvent, Progress

_READING = "reading the corpus"
"""The stage in which the text is checked."""

REMEMBER_ABOVE = 256 << 20
"""Corpora above this many bytes are not read again only to see whether they changed: their scans are remembered."""

EMBEDDED_NAME = "pydoc_data.topics"


@dataclass(frozen=True)
class Document:
    """One text of a corpus: a file, or (`path` None) a text in memory. `size` in bytes; `sha256` is over the raw bytes."""

    name: str
    size: int
    sha256: str
    path: Path | None = None
    text: str = field(default="", repr=False)

    def blocks(self) -> Iterator[tuple[str, int]]:
        """The text in blocks, with the bytes read for each."""
        if self.path is None:
            yield self.text, self.size
        else:
            yield from files.read_text(self.path, self.sha256)


@dataclass(frozen=True)
class Corpus:
    """Documents in order. Where one does not end with a newline, one newline joins it to the next."""

    name: str
    documents: tuple[Document, ...]
    skipped: tuple[SkippedFile, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all documents."""
        return sum(document.size for document in self.documents)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The documents' names and sizes."""
        return tuple(FileEntry(document.name, document.size) for document in self.documents)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over the documents' SHA-256s in order: the content, whatever the files are called."""
        return hashlib.sha256("\n".join(document.sha256 for document in self.documents).encode()).hexdigest()

    def blocks(self, events: OnEvent | None = None) -> Iterator[str]:
        """The whole text in blocks; emits `Progress` of the stage "encoding the corpus", in bytes."""
        done = 0
        newline = True
        for document in self.documents:
            started = False
            for text, size in document.blocks():
                done += size
                if text:
                    # Only now: a document of nothing but a byte order mark must not bring a newline of its own.
                    yield text if started or newline else "\n" + text
                    started, newline = True, text[-1] == "\n"
                if events is not None and size:
                    events(Progress("encoding the corpus", "byte", done, self.size))


def open_corpus(path: str | list[str] | None, events: OnEvent | None = None) -> Corpus:
    """Find and check the text of `data.path`: None (embedded), a file, a folder, or a list of these.

    Files are UTF-8; a byte order mark is dropped, and CRLF and a lone CR are read as a newline. In a folder, hidden
    files and folders are ignored; links to files outside it and files that are no text are skipped and named in the report. A
    file named directly may be a link, and must be text. Raises DataError for what is missing, empty, unreadable, no file,
    or no text.
    """
    if path is None:
        return embedded_corpus()
    named = [path] if isinstance(path, str) else path
    if not named:
        raise DataError(
            "`data.path` is an empty list. Name at least one text file or folder, or null for the embedded text."
        )
    found: list[tuple[Path, Path | None]] = []
    skipped: list[SkippedFile] = []
    for text in named:
        place = _existing(text)
        if place.is_dir():
            inside, odd = files.text_files(place)
            found += [(file, place) for file in inside]
            skipped += [SkippedFile(_within(place, file), 0, reason) for file, reason in odd]
        elif place.is_file():
            found.append((place, None))
        else:
            raise DataError(
                f"The corpus '{text}' is neither a regular file nor a folder. Name a text file or a folder."
            )
    documents, left_out = _scan_all(found, named, events)
    skipped = sorted(skipped + left_out)
    if not documents:
        seen = "".join(f"; {entry.name}: {entry.reason}" for entry in skipped[:3])
        raise DataError(
            f"There is no text in {', '.join(named)} ({len(skipped)} files were skipped{seen}). Hidden files are ignored. "
            "Name a folder with UTF-8 text files."
        )
    name = shown(Path(user_path(named[0]).resolve().name))
    return Corpus(name if len(named) == 1 else f"{name} and {len(named) - 1} more", documents, tuple(skipped))


def _existing(text: str) -> Path:
    place = user_path(text, "data.path")
    if place.exists():
        return place
    looked = "" if place.is_absolute() and str(place) == text else f" (looked for {shown(place.absolute())})"
    raise DataError(
        f"The corpus '{text}' does not exist{looked}. Name a text file or a folder in "
        "`data.path`, or null for the embedded text."
    )


def embedded_corpus() -> Corpus:
    """The CPython language documentation that every Python carries: `pydoc_data.topics`, in the sorted order of its keys.

    It differs between Python versions, so results on it belong to its fingerprint. Raises DataError where a stripped-down
    Python came without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            f"This Python ({platform.python_version()}) came without pydoc_data.topics, the embedded corpus. Install the "
            "full standard library, or name a text file of your own in `data.path`."
        ) from error
    # Each topic is a document of its own where files are joined, too: a newline after each that has none.
    text = "".join(topics[key] if topics[key].endswith("\n") else topics[key] + "\n" for key in sorted(topics))
    content = text.encode()
    document = Document(EMBEDDED_NAME, len(content), hashlib.sha256(content).hexdigest(), text=text)
    return Corpus(EMBEDDED_NAME, (document,))


def _scan_all(
    found: list[tuple[Path, Path | None]], named: list[str], events: OnEvent | None
) -> tuple[tuple[Document, ...], list[SkippedFile]]:
    """Scan files, each with the folder that it was found in; one that was named directly has None and may not be skipped."""
    sizes = [_size(path) for path, _ in found]
    total = sum(sizes)
    memory = ScanMemory(_memory_file(named)) if total > REMEMBER_ABOVE else None
    documents: list[Document] = []
    skipped: list[SkippedFile] = []
    done = 0
    for (path, folder), size in zip(found, sizes, strict=True):
        advance = None if events is None else partial(_advance, events, done, total)
        result = files.scan(path, advance) if memory is None else memory.scan(path, advance)
        done += size
        if events is not None:
            events(Progress(_READING, "byte", done, total))
        reason = result.problem if result.size else "empty"
        if reason is None:
            documents.append(Document(shown(path), result.size, result.sha256, path))
        elif folder is None:
            raise _not_text(path, result)
        else:
            skipped.append(SkippedFile(_within(folder, path), result.size, reason))
    if memory is not None:
        memory.save()
    return tuple(documents), skipped


def _within(folder: Path, path: Path) -> str:
    """A file's path from the folder of the corpus on, whose own place is in the config."""
    return shown(path.relative_to(folder.parent))


def _advance(events: OnEvent, before: int, total: int, read: int) -> None:
    events(Progress(_READING, "byte", before + read, total))


def _memory_file(named: list[str]) -> Path:
    """Where the scans of what `data.path` names are remembered."""
    key = hashlib.sha256("\n".join(shown(Path(text).absolute()) for text in named).encode()).hexdigest()
    return cache_folder() / "scans" / f"{key}.json"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise files.unreadable(path, error) from error


def _not_text(path: Path, result: Scan) -> DataError:
    if not result.size:
        return DataError(f"The corpus file {shown(path)} is empty. Name a file with text in it.")
    return DataError(
        f"The corpus file {shown(path)} is not UTF-8 text: {result.problem}. Convert it (for example with "
        "`iconv -f LATIN1 -t UTF-8 old.txt > new.txt`, or -f UTF-16) or name another file."
    )
