"""Heuristic roles of the numbers in arbitrary text: quantities, categories or indices."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from trimtab.data.problem import Number, Role
from trimtab.data.tasks.numbers import numbers_in

_LABELS = (
    "apartment apt bus channel code exit flight floor gate grade highway house id locker model number platform "
    "pin room route seat size table train type unit version zip"
)
_ORDERED = "chapter day exercise figure item lesson level line page part question round row section stage step week"
_MONTHS = (
    "january february march april may june july august september october november december jan feb mar apr jun jul aug sep "
    "sept oct nov dec"
)

_LABEL_WORDS = frozenset(_LABELS.split())
_ORDER_WORDS = frozenset(_ORDERED.split())
_MONTH_WORDS = frozenset(_MONTHS.split())
# After a determiner, the word does not belong to the number: "every day 20 people come".
_DETERMINERS = (
    "a all an any by each every first her his its last my next no of one other our per same second that the their third this "
    "your"
)
_DETERMINER_WORDS = frozenset(_DETERMINERS.split())

_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b", re.IGNORECASE)
_CLOCK_AFTER = re.compile(r":[0-9]{2}\b|\s?[ap]\.?m\b", re.IGNORECASE)
_CLOCK_BEFORE = re.compile(r"(?<![0-9:])[0-9]{1,2}:\Z")
_YEAR = re.compile(r"(?:1[5-9]|20)[0-9]{2}\Z")
_YEAR_BEFORE = re.compile(r"\b(?:in|since|until|year|of)\s+\Z", re.IGNORECASE)
_YEAR_AFTER = re.compile(r"\s*(?:[.,;:!?)]|\Z)")
_NAME = re.compile(r"(?:(?<![0-9])[A-Za-z][-_]?|(?<!#)#\s?|\bno\.\s?)\Z", re.IGNORECASE)
_BEFORE = 48


@dataclass(frozen=True)
class NumbersOf(Sequence[Number]):
    """The numbers of `text` with their roles, computed on access so that large files load faster."""

    text: str

    def __iter__(self) -> Iterator[Number]:
        return iter(number_roles(self.text))

    def __len__(self) -> int:
        return len(number_roles(self.text))

    @overload
    def __getitem__(self, index: int) -> Number: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Number, ...]: ...

    def __getitem__(self, index: int | slice) -> Number | tuple[Number, ...]:
        return number_roles(self.text)[index]


def number_roles(text: str) -> tuple[Number, ...]:
    """Returns the numbers of a text (see `numbers_in`) with their likely roles, by these rules in order:

    - *index*: a number with an ordinal ending (`2nd`), unless it is the denominator of a fraction (`1/3rd`); after the name of a
      month; after a word such as `day`, `page` or `step` (`day 3`), unless that word follows a determiner (`each day 3 ...`);
    - *category*: a number that follows letters or a hash directly (`A4`, `COVID-19`, `#5`, `No. 7`); after a word such as `bus`
      or `room` (`bus 12`), again unless that word follows a determiner; a time of day (`3:30`, `5 pm`); a year (`in 1998`, from
      1500 to 2099, before a punctuation mark or the end);
    - *quantity*: all others, including amounts of money, percentages, measures and the numbers in a worked solution.
    """
    return tuple(Number(start, end, _role(text, start, end)) for start, end, _ in numbers_in(text))


def _role(text: str, start: int, end: int) -> Role:
    before = text[max(start - _BEFORE, 0) : start]
    if _ORDINAL.match(text, end):
        return Role.QUANTITY if before.endswith("/") else Role.INDEX
    if _NAME.search(before):
        return Role.CATEGORY
    clock = _CLOCK_AFTER.match(text, end) or (end - start == 2 and _CLOCK_BEFORE.search(before))
    if clock and "ratio" not in before.lower():
        return Role.CATEGORY
    if (
        end - start == 4
        and _YEAR.match(text[start:end])
        and _YEAR_BEFORE.search(before)
        and _YEAR_AFTER.match(text, end)
    ):
        return Role.CATEGORY
    if before[-1:].isspace():
        *earlier, word = before.rsplit(maxsplit=2)[-2:] or [""]
        return _after_word(earlier[0].lower() if earlier else "", word.rstrip("."), end - start)
    return Role.QUANTITY


def _after_word(earlier: str, word: str, length: int) -> Role:
    """The role of a number of `length` characters after two words."""
    lowered = word.lower()
    if lowered in _MONTH_WORDS and word[0].isupper() and length <= 2:
        return Role.INDEX
    if earlier in _DETERMINER_WORDS:
        return Role.QUANTITY
    if lowered in _ORDER_WORDS:
        return Role.INDEX
    return Role.CATEGORY if lowered in _LABEL_WORDS else Role.QUANTITY
