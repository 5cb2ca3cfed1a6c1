"""The token cache: a corpus is encoded once, into a file that is mapped into memory from then on."""

import hashlib
import json
import os
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
from trimtab.data.files import BLOCK
from trimtab.data.pieces import pieces
from trimtab.data.tokenizers import Ids, Tokenizer
from trimtab.runtime.events import OnEvent

try:
    import fcntl
except ImportError:  # Windows: two processes then encode the same corpus twice, which is slower but as safe
    fcntl = None  # type: ignore[assignment]

VERSION = 1
"""Part of every fingerprint: raised when the way from files to tokens changes."""

MOST_UNKNOWN = 10


@dataclass(frozen=True)
class CacheEntry:
    """The description of a file of tokens. It has no time and no place, so two encodings give the same bytes."""

    version: int
    dtype: str
    tokens: int
    sha256: str
    characters: int
    unknown_tokens: int
    dropped_characters: int
    unknown_characters: list[list[int]]
    inexact_cuts: int


def fingerprint(corpus: Corpus, tokenizer: Tokenizer) -> str:
    """SHA-256 over the raw content of all files in order and the tokenizer's fingerprint."""
    return hashlib.sha256(f"trimtab corpus {VERSION}\n{corpus.sha256}\n{tokenizer.fingerprint}".encode()).hexdigest()


def encoded(corpus: Corpus, tokenizer: Tokenizer, events: OnEvent | None = None) -> tuple[Ids, CacheEntry]:
    """The tokens of a corpus, read-only and mapped into memory, from the cache or encoded now.

    A cache file that is truncated or damaged is encoded again. Several processes may ask at once: one encodes, the
    others wait for it. Raises WorkError when the cache cannot be written.
    """
    key = fingerprint(corpus, tokenizer)
    tokens = cache_folder() / "corpora" / f"{key}.bin"
    entry = _sound(tokens)
    if entry is None:
        with _lock(tokens):
            entry = _sound(tokens)
            if entry is None:
                entry = _encode(corpus, tokenizer, tokens, events)
    # A plain array on the mapping: indexing a `np.memmap` itself costs several times as much.
    if entry.tokens == 0:
        return np.zeros(0, dtype=entry.dtype), entry
    return np.asarray(np.memmap(tokens, dtype=entry.dtype, mode="r")), entry


def _encode(corpus: Corpus, tokenizer: Tokenizer, target: Path, events: OnEvent | None) -> CacheEntry:
    if fcntl is not None:
        for left in target.parent.glob(f"{target.stem}.*.tmp"):
            left.unlink(missing_ok=True)  # of a process that was killed: under the lock nobody else writes one
    digest = hashlib.sha256()
    unknown: Counter[str] = Counter()
    counts = Counter(tokens=0, characters=0, unknown=0, dropped=0, inexact=0)

    def write(file: BinaryIO) -> None:
        for piece in pieces(corpus.blocks(events), tokenizer.cuts, encode=tokenizer.encode):
            ids = tokenizer.encode(piece.text)
            content = np.ascontiguousarray(ids, dtype=tokenizer.dtype).tobytes()
            file.write(content)
            digest.update(content)
            missing, dropped = tokenizer.unknown_count(ids), tokenizer.dropped(piece.text)
            if missing or dropped:
                unknown.update(tokenizer.unknown_characters(piece.text))
            counts.update(tokens=len(ids), characters=len(piece.text), unknown=missing, inexact=int(not piece.exact))
            counts.update(dropped=sum(dropped.values()))

    write_durably(target, write)
    ranked = sorted(unknown.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_UNKNOWN]
    entry = CacheEntry(
        version=VERSION,
        dtype=tokenizer.dtype.str,
        tokens=counts["tokens"],
        sha256=digest.hexdigest(),
        characters=counts["characters"],
        unknown_tokens=counts["unknown"],
        dropped_characters=counts["dropped"],
        unknown_characters=[[ord(character), count] for character, count in ranked],
        inexact_cuts=counts["inexact"],
    )
    write_durably(target.with_suffix(".json"), json.dumps(asdict(entry), indent=1).encode())
    return entry


def _sound(tokens: Path) -> CacheEntry | None:
    """The entry of a cache file that is all there, else None.

    The SHA-256 is taken again each time for files up to 256 MB, above that once for as long as size and times of change
    stay the same.
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
    """Hold the lock of one cache file; the system lets go of it when a process ends in any way."""
    try:
        tokens.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_to_write(tokens.with_suffix(".lock"), "append"), "wb")
    except OSError as error:
        raise cannot_write(tokens, error) from error
    with file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
