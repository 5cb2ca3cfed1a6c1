"""A question and its answer, and the interface of sources of such pairs."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab.config.canonical import canonical_json
from trimtab.data.tasks.files import question_key

LONGEST_ID = 100
"""The most characters of an id; ids are used as file names."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Pair:
    """A question and its answer.

    `id` is a safe file name (see `safe_id`) and unique in its source. `answers` are all accepted answers, `answer` first. `exact`
    marks pairs in which every character counts, such as sums and grids: they are graded by tokens, because normalisation for
    prose would treat 37-48= and 37+48= as equal. `metadata` holds JSON values.
    """

    id: str
    question: str
    answer: str
    answers: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True)
class LoadedPairs:
    """The pairs that a source gave, and their fingerprint.

    `skipped` says which rows were left out and why; one sentence may stand for many rows. `left_out` is the number of these rows.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[str, ...]
    fingerprint: str
    left_out: int = 0


class PairSource(Protocol):
    """A component of the kind `pairs`."""

    @property
    def name(self) -> str:
        """The name of the source in messages."""

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """`count` pairs chosen by `seed`, or all pairs of a finite source if `count` is None.

        The same arguments give the same pairs in the same order, and a smaller count gives the first pairs of a larger one.
        Raises `DataError` for a file that does not have the source's format, and if there are fewer than `count` pairs.
        """


def safe_id(text: str) -> str:
    """`text` if it is a valid file name on every system, else its valid characters and a hash, so that ids stay distinct."""
    if 0 < len(text) <= LONGEST_ID and not _UNSAFE.search(text) and text[0] not in ".-" and text[-1] != ".":
        return text
    safe = _UNSAFE.sub("_", text)[: LONGEST_ID - 20].strip("._-")
    return f"{safe}-{text_hash(text)}" if safe else text_hash(text)


def question_id(question: str) -> str:
    """The id of a pair without one in its source: a hash of its question."""
    return text_hash(question_key(question))


def text_hash(text: str) -> str:
    """The first 16 hex digits of a text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def pairs_fingerprint(pairs: Iterable[Pair]) -> str:
    """SHA-256 (hex) over the contents of pairs in order; file names are not part of it."""
    digest = hashlib.sha256()
    for pair in pairs:
        content = [pair.id, pair.question, list(pair.answers), dict(pair.metadata), pair.exact]
        digest.update(canonical_json(content).encode() + b"\n")
    return digest.hexdigest()
