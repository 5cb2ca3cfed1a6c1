"""Filters: words that fit fuzzily, `key:text` and `key>number`."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.records.values import flatten, is_number

_TERM = re.compile(r"([\w.\[\]]+)(>=|<=|>|<|=|:)(.+)")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def fuzzy(wanted: str, text: str) -> float | None:
    """How well the letters of `wanted` fit into `text`, in order; lower is better, None where they do not fit.

    Letters that follow each other and letters at the beginning of a word cost nothing; gaps cost one each. A text that has the
    letters as one piece is better than any other.
    """
    wanted, low = wanted.lower(), text.lower()
    if not wanted:
        return 0.0
    if (found := low.find(wanted)) >= 0:
        begins = found == 0 or not low[found - 1].isalnum()
        ends = found + len(wanted) == len(low)
        return -200.0 + (0.0 if begins else 20.0) - (40.0 if begins and ends else 0.0) + len(low) / 100
    cost, at = 0.0, -1
    for letter in wanted:
        after = low.find(letter, at + 1)
        if after < 0:
            return None
        initial = _initial(low, letter, at + 1)
        if initial is not None and after != at + 1:
            after = initial
        elif after != at + 1:
            cost += 10 + (after - at) / 10
        at = after
    return cost + len(low) / 100


def _initial(text: str, letter: str, start: int) -> int | None:
    """The next place where a word begins with this letter."""
    for at in range(start, len(text)):
        if text[at] == letter and (at == 0 or not text[at - 1].isalnum()):
            return at
    return None


def ranked(wanted: str, texts: list[str]) -> list[int]:
    """The indices of the texts that fit, the best first; every word of `wanted` has to fit."""
    words = wanted.split()
    scored = []
    for index, text in enumerate(texts):
        costs = [fuzzy(word, text) for word in words]
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(costs):
            scored.append((sum(known), index))
    return [index for _, index in sorted(scored)]


@dataclass(frozen=True)
class Filter:
    """A filter of runs. Words fit the name of a run, terms its fields or the keys of its config by their last part."""

    text: str

    def fits(self, name: str, fields: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
        """Whether a run passes."""
        for word in self.text.split():
            match = _TERM.fullmatch(word)
            if match is None:
                if fuzzy(word, name) is None:
                    return False
            elif not self._term_fits(match[1], match[2], match[3], fields, config):
                return False
        return True

    def _term_fits(
        self, key: str, sign: str, wanted: str, fields: Mapping[str, Any], config: Mapping[str, Any]
    ) -> bool:
        values = (
            [fields[key]] if key in fields else [v for k, v in flatten(config) if k == key or k.endswith(f".{key}")]
        )
        if sign in (":", "="):
            return any(wanted.lower() in str(value).lower() for value in values)
        try:
            bound = float(wanted)
        except ValueError:
            return False
        return any(_COMPARE[sign](float(value), bound) for value in values if is_number(value))
