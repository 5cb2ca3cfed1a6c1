"""From the rows of a file to chosen pairs: bad rows by name, each question once, the same choice whatever the file's order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.data.tasks.files import BadRowError, Row, checked_text, question_key, value_of
from trimtab.errors import DataError
from trimtab.memory.pairs.pair import Pair, Reading, pairs_fingerprint, question_id, safe_id
from trimtab.random import derive_seed

OnBadRow = Annotated[
    Literal["error", "skip"],
    Field(
        description="a row that is no pair is an error, or is left out and named; one with an empty text is always left out"
    ),
]


class EmptyPairError(BadRowError):
    """A pair with nothing to ask or nothing to answer: it is left out and named, whatever `on_bad_row` says."""


class LeftOutError(Exception):
    """A row left out on purpose; the message says of one row or many why, and rows with the same one are counted together."""


def read_pairs(
    name: str,
    rows: Iterable[Row],
    pair_of: Callable[[Mapping[str, Any]], Pair],
    *,
    on_bad_row: OnBadRow,
    count: int | None,
    seed: int,
) -> Reading:
    """All pairs of the rows, or `count` of them chosen by `seed`; the source is called `name` in errors.

    `pair_of` makes the pair of a row; it raises `BadRowError` for a row that is none, and `LeftOutError` for one that is not
    wanted. Of pairs with the same question (up to white space and Unicode composition) the one with the smallest id stays.
    The order is that of a hash of the seed and the id, so that neither the order of the rows nor the count shifts the choice.
    """
    found: list[tuple[str, Pair]] = []
    skipped: list[str] = []
    counted: dict[str, list[str]] = {}
    for where, values in rows:
        try:
            if isinstance(values, BadRowError):
                raise values
            found.append((where, pair_of(values)))
        except EmptyPairError as error:
            skipped.append(f"{where}: {error}")
        except BadRowError as error:
            if on_bad_row == "error":
                raise DataError(bad_row(where, error)) from error
            skipped.append(f"{where}: {error}")
        except LeftOutError as error:
            counted.setdefault(str(error), []).append(where)
    pairs, taken = _distinct(found, on_bad_row, skipped)
    if taken:
        counted["the same question is asked by another pair"] = taken
    for reason, places in counted.items():
        skipped.append(f"{len(places):,} left out, the first at {places[0]}: {reason}")
    ordered = sorted(pairs, key=lambda pair: (derive_seed(seed, "pairs", pair.id), pair.id))
    left_out = len(skipped) - len(counted) + sum(map(len, counted.values()))
    return replace(chosen(name, ordered, count, skipped), left_out=left_out)


def chosen(name: str, pairs: Sequence[Pair], count: int | None, skipped: Sequence[str]) -> Reading:
    """The first `count` pairs, or all of them. Raises `DataError` where there are not as many, or none."""
    if not pairs or (count is not None and count > len(pairs)):
        left_out = f" Left out: {'; '.join(skipped[:3])}{'; ...' if len(skipped) > 3 else ''}." if skipped else ""
        asked = "and at least one is needed" if count is None else f"and {count:,} are asked for"
        advice = (
            "Name a file with pairs in `pairs.path`."
            if not pairs
            else f"Ask for {len(pairs):,} at most, or for all by `count: null`."
        )
        raise DataError(f"The source {name} has {len(pairs):,} pairs, {asked}.{left_out} {advice}")
    taken = tuple(pairs[:count])
    return Reading(taken, tuple(skipped), pairs_fingerprint(taken))


def bad_row(where: str, error: BadRowError) -> str:
    """What is said of a bad row where it is an error."""
    return (
        f"{where}: {error}. Mend it, or set `pairs.on_bad_row` to skip to leave such ones out; they are then counted and "
        "named."
    )


def pair_text(value: Any, name: str, *, numbers: bool = False) -> str:
    """`value` as text without white space around it; see `checked_text`. Raises `EmptyPairError` where nothing is left."""
    if isinstance(value, str) and not value.strip():
        raise EmptyPairError(f"{name} is empty")
    return checked_text(value, name, numbers=numbers)


def pair_texts(value: Any, name: str) -> tuple[str, ...]:
    """A text or a number, or a list of them, as distinct texts; empty ones among others are passed over.

    Raises `EmptyPairError` where none is left and `BadRowError` for anything else.
    """
    if not isinstance(value, list):
        return (pair_text(value, name, numbers=True),)
    found = dict.fromkeys(
        pair_text(item, f"{name}[{index}]", numbers=True)
        for index, item in enumerate(value)
        if not (isinstance(item, str) and not item.strip())
    )
    if not found:
        raise EmptyPairError(f"{name} has no text in it" if value else f"{name} is an empty list")
    return tuple(found)


def row_id(values: Mapping[str, Any], key: str) -> str:
    """The id under a key of a row, made safe as a file's name. Raises `BadRowError` where there is none."""
    return safe_id(checked_text(value_of(values, key), repr(key), numbers=True))


def plain_pair(
    question: str,
    answers: tuple[str, ...],
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    *,
    exact: bool = False,
) -> Pair:
    """The pair of a question and its accepted answers; without a name its id is its question's hash."""
    return Pair(name or question_id(question), question, answers[0], answers, metadata or {}, exact)


def _distinct(
    found: Sequence[tuple[str, Pair]], on_bad_row: OnBadRow, skipped: list[str]
) -> tuple[list[Pair], list[str]]:
    """The pairs with one a question, and the places of those left out; an id of two questions is a bad row."""
    kept: dict[str, tuple[str, Pair]] = {}
    taken: list[str] = []
    for where, pair in found:
        key = question_key(pair.question)
        known = kept.get(key)
        if known is None:
            kept[key] = where, pair
        elif (pair.id, pair.answers) < (known[1].id, known[1].answers):
            kept[key] = where, pair
            taken.append(known[0])
        else:
            taken.append(where)
    ids: dict[str, str] = {}
    pairs: list[Pair] = []
    for where, pair in kept.values():
        if pair.id in ids:
            error = BadRowError(f"its id {pair.id!r} is that of another question already, at {ids[pair.id]}")
            if on_bad_row == "error":
                raise DataError(bad_row(where, error))
            skipped.append(f"{where}: {error}")
            continue
        ids[pair.id] = where
        pairs.append(pair)
    return pairs, taken
