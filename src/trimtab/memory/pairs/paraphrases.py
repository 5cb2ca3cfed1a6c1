"""Paraphrases of the questions and answers of pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.boundary import json_type_name
from trimtab.config.wording import unknown_name
from trimtab.data.tasks.files import BadRowError, checked_number, checked_text, json_lines, value_of
from trimtab.errors import DataError
from trimtab.memory.pairs.pair import safe_id

_KEYS = ("pair", "questions", "answers", "weight")


@dataclass(frozen=True)
class Paraphrases:
    """Paraphrases of one pair, and their weight in the objective, in which the pair itself has 1."""

    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    weight: float = 1.0


def read_paraphrases(path: str, *, key: str = "paraphrases.path") -> Mapping[str, Paraphrases]:
    """The paraphrases of a JSONL file by the id of their pair.

    One object per line: `{"pair": id, "questions": [...], "answers": [...], "weight": 0.5}`. The weight is 1 by default, and one
    of the two lists may be missing or empty. `key` is the config's key that names the file. Raises `DataError` with file and line
    for any other line, and for a second line of one pair.
    """
    by_pair: dict[str, Paraphrases] = {}
    places: dict[str, str] = {}
    for where, values in json_lines(path, key=key):
        try:
            if isinstance(values, BadRowError):
                raise values
            pair, paraphrases = _read(values)
            if pair in by_pair:
                raise BadRowError(f"the pair {pair!r} has paraphrases already, at {places[pair]}")
        except BadRowError as error:
            raise DataError(
                f'{where}: {error}. A line of paraphrases is {{"pair": id, "questions": [...], "answers": [...]}} and, where '
                'it is not 1, a "weight". Correct the line.'
            ) from error
        by_pair[pair], places[pair] = paraphrases, where
    return by_pair


def _read(values: Mapping[str, Any]) -> tuple[str, Paraphrases]:
    for name in values:
        if name not in _KEYS:
            raise BadRowError(
                f"there is no key {name!r} here.{unknown_name(name, _KEYS)} Known keys: {', '.join(_KEYS)}"
            )
    pair = safe_id(checked_text(value_of(values, "pair"), "'pair'", numbers=True))
    questions, answers = _texts(values, "questions"), _texts(values, "answers")
    if not questions and not answers:
        raise BadRowError("it has neither questions nor answers")
    weight = checked_number(values.get("weight", 1.0), "'weight'")
    if weight <= 0:
        raise BadRowError(f"'weight' is {weight:g}, but it must be above 0")
    return pair, Paraphrases(questions, answers, weight)


def _texts(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    listed = values.get(key, [])
    if not isinstance(listed, list):
        raise BadRowError(f"{key!r} is {json_type_name(listed)} where a list is needed")
    texts = [checked_text(text, f"{key}[{index}]") for index, text in enumerate(listed)]
    if len(set(texts)) < len(texts):
        raise BadRowError(f"{key!r} has the same text twice")
    return tuple(texts)
