"""Texts that repeat each other: equal ones, nearly equal ones, and ones that share a run of words."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt64

_WORD = re.compile(r"\w+")
_BANDS, _ROWS = 12, 4
_LONGEST_BUCKET = 64

NEAR = 0.8
"""The similarity (Jaccard index of word triples) from which two texts are near-duplicates."""

SHARED_WORDS = 8
"""The number of words in a row that an example and an evaluation text must share to count as contaminated."""


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, without punctuation."""
    return tuple(_WORD.findall(text.lower()))


def equal_texts(texts: Sequence[str]) -> int:
    """The number of texts that repeat an earlier one, ignoring case, punctuation and white space."""
    return len(texts) - len(set(map(words_of, texts)))


def near_duplicates(texts: Sequence[str]) -> list[tuple[int, int, float]]:
    """Pairs of texts that differ and have a similarity of at least `NEAR`, with it; the indices increase.

    Candidates come from hashes of word triples (MinHash with locality-sensitive buckets: Broder 1997; Indyk & Motwani 1998) that
    agree on 4 of 4 numbers in one of 12 buckets: a pair of similarity 0.8 is missed with a probability of 0.2%. The similarity of
    a candidate is computed exactly. Buckets of more than 64 texts are compared only with their first 64.
    """
    triples = [_triples(words_of(text)) for text in texts]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, each in enumerate(triples):
        if each:
            signature = _signature(each)
            for band in range(_BANDS):
                buckets[band, signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(index)
    found: dict[tuple[int, int], float] = {}
    for members in buckets.values():
        for place, second in enumerate(members):
            for first in members[: min(place, _LONGEST_BUCKET)]:
                if (first, second) in found or triples[first] == triples[second]:
                    continue
                both = len(triples[first] & triples[second])
                found[first, second] = both / (len(triples[first]) + len(triples[second]) - both)
    return sorted((*pair, similarity) for pair, similarity in found.items() if similarity >= NEAR)


def contaminated(texts: Sequence[str], evaluation: Iterable[str]) -> list[int]:
    """The indices of texts that share `SHARED_WORDS` words in a row with an evaluation text, or equal a shorter one."""
    runs: set[tuple[str, ...]] = set()
    short: set[tuple[str, ...]] = set()
    for text in evaluation:
        words = words_of(text)
        if len(words) >= SHARED_WORDS:
            runs.update(_runs(words))
        elif words:
            short.add(words)
    found = []
    for index, text in enumerate(texts):
        words = words_of(text)
        if words in short or not runs.isdisjoint(_runs(words)):
            found.append(index)
    return found


def strings_of(value: Any) -> Iterable[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


def _runs(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {words[start : start + SHARED_WORDS] for start in range(len(words) - SHARED_WORDS + 1)}


def _triples(words: tuple[str, ...]) -> frozenset[int]:
    """Hashes of all runs of three words; of shorter texts that of the whole."""
    runs = [words[start : start + 3] for start in range(max(1, len(words) - 2))] if words else []
    return frozenset(
        int.from_bytes(hashlib.blake2b(" ".join(run).encode(), digest_size=8).digest(), "big") for run in runs
    )


_DRAWS = np.random.default_rng(0)
_FACTORS = _DRAWS.integers(1, 1 << 62, _BANDS * _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS = _DRAWS.integers(0, 1 << 63, _BANDS * _ROWS, dtype=np.uint64)


def _signature(triples: frozenset[int]) -> UInt64[np.ndarray, " numbers"]:
    values = np.array(sorted(triples), dtype=np.uint64)
    mixed = values[:, None] * _FACTORS + _SHIFTS
    mixed ^= mixed >> np.uint64(31)
    least: UInt64[np.ndarray, " numbers"] = (mixed * _FACTORS[::-1]).min(axis=0)
    return least
