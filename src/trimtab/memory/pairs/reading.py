"""From the rows of a file to selected pairs: reports bad rows, removes duplicate questions, and selects by seed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.data.tasks.files import BadRowError, Row, checked_text, question_key, value_of
from trimtab.errors import DataError
from trimtab.memory.pairs.pair import LoadedPairs, Pair, pairs_fingerprint, question_id, safe_id
from trimtab.random import derive_seed

OnBadRow = Annotated[
    Literal["error", "skip"],
    Field(
        description="what to do with an invalid row: stop with an error, or skip and report it; empty texts are always skipped"
    ),
]


class EmptyPairError(BadRowError):
    """A pair with an empty question or answer: it is skipped and reported for every `on_bad_row`."""


class LeftOutError(Exception):
    """A row that is left out on purpose; rows with the same message are counted together."""


def read_pairs(
    name: str,
    rows: Iterable[Row],
    pair_of: Callable[[Mapping[str, Any]], Pair],
    *,
    on_bad_row: OnBadRow,
    count: int | None,
    seed: int,
) -> LoadedPairs:
    """All pairs of the rows, or `count` of them chosen by `seed`; `name` is the source's name in errors.

    `pair_of` makes the pair of a row; it raises `BadRowError` for an invalid row, and `LeftOutError` for one to leave out. Of
    several pairs with the same question (up to white space and Unicode composition) the one with the smallest id is kept. Pairs
    are sorted by a hash of seed and id, so the selection does not depend on the order of the rows.
    """
    located: list[tuple[str, Pair]] = []
    skipped: list[str] = []
    counted: dict[str, list[str]] = {}
    for where, values in rows:
        try:
            if isinstance(values, BadRowError):
                raise values
            located.append((where, pair_of(values)))
        except EmptyPairError as error:
            skipped.append(f"{where}: {error}")
        except BadRowError as error:
            if on_bad_row == "error":
                raise DataError(bad_row(where, error)) from error
            skipped.append(f"{where}: {error}")
        except LeftOutError as error:
            counted.setdefault(str(error), []).append(where)
    pairs, duplicates = _distinct(located, on_bad_row, skipped)
    if duplicates:
        counted["another pair has the same question"] = duplicates
    for reason, places in counted.items():
        skipped.append(f"{len(places):,} left out, the first at {places[0]}: {reason}")
    ordered = sorted(pairs, key=lambda pair: (derive_seed(seed, "pairs", pair.id), pair.id))
    left_out = len(skipped) - len(counted) + sum(map(len, counted.values()))
    return replace(select_pairs(name, ordered, count, skipped), left_out=left_out)


def select_pairs(name: str, pairs: Sequence[Pair], count: int | None, skipped: Sequence[str]) -> LoadedPairs:
    """The first `count` pairs, or all. Raises `DataError` if there are fewer, or none."""
    if not pairs or (count is not None and count > len(pairs)):
        left_out = f" Left out: {'; '.join(skipped[:3])}{'; ...' if len(skipped) > 3 else ''}." if skipped else ""
        needed = "but at least one is needed" if count is None else f"but {count:,} are needed"
        advice = (
            "Name a file with pairs in `pairs.path`."
            if not pairs
            else f"Set `count` to at most {len(pairs):,}, or to null for all."
        )
        raise DataError(f"The source {name} has {len(pairs):,} pairs, {needed}.{left_out} {advice}")
    selected = tuple(pairs[:count])
    return LoadedPairs(selected, tuple(skipped), pairs_fingerprint(selected))


def bad_row(where: str, error: BadRowError) -> str:
    """The error message for a bad row."""
    return (
        f"{where}: {error}. Correct the row, or leave such rows out with `pairs.on_bad_row: skip`; they are then counted and "
        "reported."
    )


def pair_text(value: Any, name: str, *, numbers: bool = False) -> str:
    """`value` as text without surrounding white space; see `checked_text`. Raises `EmptyPairError` if nothing is left."""
    if isinstance(value, str) and not value.strip():
        raise EmptyPairError(f"{name} is empty")
    return checked_text(value, name, numbers=numbers)


def pair_texts(value: Any, name: str) -> tuple[str, ...]:
    """A text or a number, or a list of them, as distinct texts without empty ones.

    Raises `EmptyPairError` if none is left and `BadRowError` for any other value.
    """
    if not isinstance(value, list):
        return (pair_text(value, name, numbers=True),)
    texts = dict.fromkeys(
        pair_text(item, f"{name}[{index}]", numbers=True)
        for index, item in enumerate(value)
        if not (isinstance(item, str) and not item.strip())
    )
    if not texts:
        raise EmptyPairError(f"{name} has no text" if value else f"{name} is an empty list")
    return tuple(texts)


def row_id(values: Mapping[str, Any], key: str) -> str:
    """The id under a key of a row, made a safe file name. Raises `BadRowError` if there is none."""
    return safe_id(checked_text(value_of(values, key), repr(key), numbers=True))


def plain_pair(
    question: str,
    answers: tuple[str, ...],
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    *,
    exact: bool = False,
) -> Pair:
    """The pair of a question and its accepted answers; without a name, its id is a hash of the question."""
    return Pair(name or question_id(question), question, answers[0], answers, metadata or {}, exact)


def _distinct(
    located: Sequence[tuple[str, Pair]], on_bad_row: OnBadRow, skipped: list[str]
) -> tuple[list[Pair], list[str]]:
    """One pair per question, and the places of the duplicates; an id of two different questions is a bad row."""
    kept: dict[str, tuple[str, Pair]] = {}
    duplicates: list[str] = []
    for where, pair in located:
        key = question_key(pair.question)
        known = kept.get(key)
        if known is None:
            kept[key] = where, pair
        elif (pair.id, pair.answers) < (known[1].id, known[1].answers):
            kept[key] = where, pair
            duplicates.append(known[0])
        else:
            duplicates.append(where)
    ids: dict[str, str] = {}
    pairs: list[Pair] = []
    for where, pair in kept.values():
        if pair.id in ids:
            error = BadRowError(f"another question has the same id {pair.id!r}, at {ids[pair.id]}")
            if on_bad_row == "error":
                raise DataError(bad_row(where, error))
            skipped.append(f"{where}: {error}")
            continue
        ids[pair.id] = where
        pairs.append(pair)
    return pairs, duplicates
