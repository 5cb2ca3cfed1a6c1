"""What a memory holds: a question and its answer, and where such pairs come from."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab.config.canonical import canonical_json
from trimtab.data.tasks.files import question_key

LONGEST_ID = 100
"""Characters of an id, which names files."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Pair:
    """A question and its answer.

    `id` is safe as a file's name (`safe_id`) and unique in its source. `answers` are all the accepted answers, the first of
    them `answer`. `exact` marks pairs in which every character counts (sums, grids): a normalisation made for prose would
    call 37-48= and 37+48= the same, so that they are graded by their tokens alone. `metadata` holds JSON values.
    """

    id: str
    question: str
    answer: str
    answers: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True)
class Reading:
    """The pairs of a source, what it left out and why (a sentence each, some for many), and the pairs' fingerprint.

    `left_out` is how many rows the sentences are about.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[str, ...]
    fingerprint: str
    left_out: int = 0


class PairSource(Protocol):
    """A component of the kind `pairs`."""

    @property
    def name(self) -> str:
        """How the source is shown."""

    def read(self, count: int | None, seed: int) -> Reading:
        """`count` pairs chosen by `seed`, or all that there are (None: only of a source that is finite).

        The same arguments give the same pairs in the same order, and fewer pairs are the beginning of more. Raises
        `DataError` for a file that cannot be read as its format, and where there are fewer pairs than asked for.
        """


def safe_id(text: str) -> str:
    """`text` itself where it may name a file on any system, else what is left of it with a hash, so that none are confused."""
    if 0 < len(text) <= LONGEST_ID and not _UNSAFE.search(text) and text[0] not in ".-" and text[-1] != ".":
        return text
    left = _UNSAFE.sub("_", text)[: LONGEST_ID - 20].strip("._-")
    return f"{left}-{text_hash(text)}" if left else text_hash(text)


def question_id(question: str) -> str:
    """The id of a pair whose source gives none: a hash of its question."""
    return text_hash(question_key(question))


def text_hash(text: str) -> str:
    """The first 16 hex digits of a text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def pairs_fingerprint(pairs: Iterable[Pair]) -> str:
    """SHA-256 (hex) over the contents of pairs in their order: the content decides, not the name of a file."""
    digest = hashlib.sha256()
    for pair in pairs:
        content = [pair.id, pair.question, list(pair.answers), dict(pair.metadata), pair.exact]
        digest.update(canonical_json(content).encode() + b"\n")
    return digest.hexdigest()
