"""The token cache: a corpus is encoded once, into a file that runs then map into memory."""

import hashlib
import itertools
import json
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trimtab.boundary import open_to_write
from trimtab.config.model_paths import cache_folder
from trimtab.data.corpus import REMEMBER_ABOVE, Corpus
from trimtab.data.durable import cannot_write, write_durably
from trimtab.data.pieces import parts, pieces
from trimtab.data.report import most_frequent
from trimtab.data.text_files import BLOCK
from trimtab.data.tokenizers import Ids, Tokenizer
from trimtab.runtime.events import OnEvent

try:
    import fcntl
except ImportError:  # on Windows two processes may encode the same corpus, which is slower but safe
    fcntl = None  # type: ignore[assignment]

VERSION = 1
"""Part of every fingerprint; to be raised when the way from files to tokens changes."""

_PART = 1 << 12


@dataclass(frozen=True)
class CacheEntry:
    """The description of a file of tokens. It contains no times and no paths, so encoding twice gives the same bytes.

    `unknown_characters` lists the most frequent unknown characters as code points with their counts. `unknown_pieces` locates all
    of them: for each piece of the text that has some, its index, its first token, the token after its last one, and their number.
    """

    version: int
    dtype: str
    tokens: int
    sha256: str
    characters: int
    unknown_tokens: int
    dropped_characters: int
    unknown_characters: list[list[int]]
    unknown_pieces: list[list[int]]
    inexact_cuts: int


def fingerprint(corpus: Corpus, tokenizer: Tokenizer) -> str:
    """Returns the SHA-256 of the raw content of all files, in order, and the tokenizer's fingerprint."""
    return hashlib.sha256(f"trimtab corpus {VERSION}\n{corpus.sha256}\n{tokenizer.fingerprint}".encode()).hexdigest()


def encoded(corpus: Corpus, tokenizer: Tokenizer, events: OnEvent | None = None) -> tuple[Ids, CacheEntry]:
    """Returns the tokens of a corpus, read-only and mapped into memory, from the cache or encoded now.

    A truncated or damaged cache file is encoded again. If several processes need the same file, one encodes it and the others
    wait. Raises WorkError if the cache cannot be written.
    """
    key = fingerprint(corpus, tokenizer)
    tokens = cache_folder() / "corpora" / f"{key}.bin"
    entry = _read_entry(tokens)
    if entry is None:
        with _lock(tokens):
            entry = _read_entry(tokens)
            if entry is None:
                entry = _encode(corpus, tokenizer, tokens, events)
    # A plain array on top of the mapping; indexing an `np.memmap` is several times slower.
    if entry.tokens == 0:
        return np.zeros(0, dtype=entry.dtype), entry
    return np.asarray(np.memmap(tokens, dtype=entry.dtype, mode="r")), entry


def unknown_before(corpus: Corpus, tokenizer: Tokenizer, entry: CacheEntry, tokens: int) -> int:
    """Returns the number of unknown characters in the text of the first `tokens` tokens of an encoded corpus.

    The text is read again only if the boundary lies in a piece that has unknown characters.
    """
    count = 0
    for index, first, end, unknown in entry.unknown_pieces:
        if end <= tokens:
            count += unknown
        elif first < tokens:
            stream = pieces(corpus.blocks(), tokenizer.cuts, encode=tokenizer.encode)
            text = next(itertools.islice(stream, index, None)).text
            end_of_text = _end_of_tokens(text, tokenizer, tokens - first)
            count += sum(tokenizer.unknown_characters(text[:end_of_text]).values())
    return count


def _end_of_tokens(text: str, tokenizer: Tokenizer, tokens: int) -> int:
    """The length of the longest beginning of a text that has at most `tokens` tokens.

    Found by encoding, because the spans of a tokenizer are not exact where it drops characters.
    """
    position = 0
    for part in parts(text, tokenizer.cuts, _PART, tokenizer.encode):
        count = len(tokenizer.encode(part))
        if count > tokens:
            ends = range(len(part) + 1)
            return position + bisect_right(ends, tokens, key=lambda end: len(tokenizer.encode(part[:end]))) - 1
        position += len(part)
        tokens -= count
    return position


def _encode(corpus: Corpus, tokenizer: Tokenizer, target: Path, events: OnEvent | None) -> CacheEntry:
    if fcntl is not None:
        for leftover in target.parent.glob(f"{target.stem}.*.tmp"):
            leftover.unlink(missing_ok=True)  # from a killed process; only the holder of the lock writes such files
    digest = hashlib.sha256()
    unknown: Counter[str] = Counter()
    unknown_pieces: list[list[int]] = []
    counts = Counter(tokens=0, characters=0, unknown=0, dropped=0, inexact=0)

    def write(file: BinaryIO) -> None:
        for index, piece in enumerate(pieces(corpus.blocks(events), tokenizer.cuts, encode=tokenizer.encode)):
            ids = tokenizer.encode(piece.text)
            content = np.ascontiguousarray(ids, dtype=tokenizer.dtype).tobytes()
            file.write(content)
            digest.update(content)
            missing, dropped = tokenizer.unknown_count(ids), tokenizer.dropped(piece.text)
            if missing or dropped:
                characters = tokenizer.unknown_characters(piece.text)
                unknown.update(characters)
                start = counts["tokens"]
                unknown_pieces.append([index, start, start + len(ids), sum(characters.values())])
            counts.update(tokens=len(ids), characters=len(piece.text), unknown=missing, inexact=int(not piece.exact))
            counts.update(dropped=sum(dropped.values()))

    write_durably(target, write)
    entry = CacheEntry(
        version=VERSION,
        dtype=tokenizer.dtype.str,
        tokens=counts["tokens"],
        sha256=digest.hexdigest(),
        characters=counts["characters"],
        unknown_tokens=counts["unknown"],
        dropped_characters=counts["dropped"],
        unknown_characters=[[ord(character), count] for character, count in most_frequent(unknown)],
        unknown_pieces=unknown_pieces,
        inexact_cuts=counts["inexact"],
    )
    write_durably(target.with_suffix(".json"), json.dumps(asdict(entry), indent=1).encode())
    return entry


def _read_entry(tokens: Path) -> CacheEntry | None:
    """Returns the entry of a cache file, or None if the file is missing or damaged.

    The SHA-256 of a file up to 256 MB is computed every time, that of a larger file once for as long as its size and times of
    change stay the same.
    """
    try:
        entry = CacheEntry(**json.loads(tokens.with_suffix(".json").read_bytes()))
        if entry.version != VERSION or tokens.stat().st_size != entry.tokens * np.dtype(entry.dtype).itemsize:
            return None
        return entry if _file_sha256(tokens) == entry.sha256 else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _file_sha256(path: Path) -> str:
    state = path.stat()
    key = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    memo = path.with_suffix(".checked")
    if state.st_size > REMEMBER_ABOVE and memo.exists():
        known = json.loads(memo.read_bytes())
        if known["key"] == key:
            return str(known["sha256"])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if state.st_size > REMEMBER_ABOVE:
        write_durably(memo, json.dumps({"key": key, "sha256": digest.hexdigest()}).encode())
    return digest.hexdigest()


@contextmanager
def _lock(tokens: Path) -> Iterator[None]:
    """Holds the lock of a cache file; the system releases it when the process ends in any way."""
    try:
        tokens.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_to_write(tokens.with_suffix(".lock"), "append"), "wb")
    except OSError as error:
        raise cannot_write(tokens, error) from error
    with file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
