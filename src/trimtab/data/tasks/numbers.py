"""Numbers in a text: their positions and values, and which of them is the answer."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

MARK = "####"
"""The mark before the final number of a worked solution (GSM8K, Cobbe et al. 2021)."""

_FIXED = "\u00a0\u2009\u202f"
"""No-break and thin spaces; between digits they only ever separate thousands."""

_INDIAN = r"[0-9]{1,2}(?:,[0-9]{2}(?![0-9])){1,8}+,[0-9]{3}(?![0-9])"
"""Indian grouping, 12,34,567: groups of two digits, then one of three. The bound keeps the time linear."""

# A minus after a word, a digit or a bracket is a subtraction or a hyphen. A currency sign may come before or after the minus.
_SIGN = r"(?:(?<![\w)\]])(?P<sign>[-+\u2212])[$€£¥]?+)?+"
_EXPONENT = r"(?P<exponent>[eE][-+]?+[0-9]{1,3}+(?!\w|\.[0-9]))?+"
# A comma is part of a number only between groups of three digits. The possessive quantifiers keep the time linear.
_NUMBER = re.compile(
    _SIGN + r"(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3}(?![0-9]))++|[0-9]++)(?:\.[0-9]++)?+|(?<!\w)\.[0-9]++)"
)


def _answer(spaces: str) -> re.Pattern[str]:
    """The pattern of a number in an answer: also Indian groups, groups separated by one of `spaces`, and an exponent."""
    groups = rf"(?:,[0-9]{{3}}(?![0-9]))++|(?:[{spaces}][0-9]{{3}}(?![0-9]))++"
    digits = rf"(?P<digits>(?:{_INDIAN}|[0-9]{{1,3}}(?:{groups})|[0-9]++)(?:\.[0-9]++)?+|(?<!\w)\.[0-9]++)"
    return re.compile(_SIGN + digits + _EXPONENT)


_ANSWER, _ON_MARKED_LINE = _answer(_FIXED), _answer(" " + _FIXED)
_MARKED = re.compile(
    MARK
    + r"[ \t*$€£¥]*+(?P<sign>[-+\u2212]?+)[$€£¥]?+"
    + rf"(?P<digits>(?:[0-9]{{1,3}}(?:[ {_FIXED}][0-9]{{3}}(?![0-9]))++|[0-9][0-9,]*+)(?:\.[0-9]++)?+|\.[0-9]++)"
    + _EXPONENT
)
_ALONE = re.compile(r"[-+\u2212$€£¥]*+[0-9]{1,3}(?: [0-9]{3}(?![0-9]))++(?:\.[0-9]++)?+\.?+")
_PLAIN = re.compile(
    r"\**+(?:[$€£¥]?(?P<sign>[-+\u2212]?)|(?P<before>[-+\u2212])[$€£¥])"
    rf"(?P<digits>(?:[0-9]{{1,3}}(?:(?:,[0-9]{{3}})++|(?:[{_FIXED}][0-9]{{3}})++)"
    rf"|{_INDIAN}|[0-9]++)(?:\.[0-9]++)?|\.[0-9]++)(?P<exponent>[eE][-+]?[0-9]{{1,3}})?\s?[%$€£¥]?\.?\**+"
)
# Signs that the last number of a text is part of something longer: a fraction, a time, a range, a power, markup.
_JOINED_BEFORE = re.compile(r"(?:[/:^_\\{'’√]\s*|[0-9]\s*[-\u2013]\s*|[0-9][.,eE]|[0-9]\s+)\Z")
_JOINED_AFTER = re.compile(
    r"\s*[/:^_\\}'’][0-9A-Za-z\\{(]?|[¹²³½¼¾π]|[.,][0-9]|\s*(?:dozen|hundred|thousand|million|billion|trillion|half|halves|squared)\b",
    re.I,
)
_SEPARATORS = str.maketrans("", "", f", {_FIXED}")
_MARKED_LINE = re.compile(MARK + r"([^\n]*+)")


class LocatedNumber(NamedTuple):
    """A number in a text: its digits span `start` to `end` (exclusive, without the sign); `value` includes the sign."""

    start: int
    end: int
    value: Decimal


def numbers_in(text: str) -> Iterator[LocatedNumber]:
    """Yields the numbers of a text in order: ASCII digits, with commas between groups of three, decimals and a sign.

    A sign (`-`, `+` or U+2212) counts unless it follows a word, a digit or a closing bracket, so `10-5` has 10 and 5. Fractions,
    exponents and number words are not recognised: `1/2` has 1 and 2.
    """
    for match in _NUMBER.finditer(text):
        yield LocatedNumber(*match.span("digits"), _value(match))


def final_number(text: str) -> Decimal | None:
    """Returns the number that a text gives as its answer, or None. Accepts any text, in linear time.

    The rule is that of GSM8K's own grader: the first number after `####`, without its commas. Some texts that the grader calls
    invalid are accepted: a currency sign, asterisks or `+` after the mark are skipped; otherwise the first number on a line
    after a mark counts. A text that has marks but no number after any of them has no answer. Without a mark, the last number
    of the text (see `numbers_in`) is the answer, so units, a full stop or a per cent sign may follow it.

    Commas may also separate Indian groups: `12,34,567`. Thousands may be separated by no-break or thin spaces as well, and by
    ordinary spaces after a mark or where the number is the whole text: `#### 1 000` is 1000, but `for 3 200 g bags` ends in
    200. An exponent is recognised: `1.5e3` is 1500.
    """
    if (match := _MARKED.search(text)) is not None:
        return _value(match)
    lines = _MARKED_LINE.findall(text)
    if lines:
        return next((_value(match) for line in lines for match in _ON_MARKED_LINE.finditer(line)), None)
    if _ALONE.fullmatch(alone := text.strip()) and (match := _MARKED.match(MARK + alone)) is not None:
        return _value(match)
    last = _last(_ANSWER.finditer(text))
    return None if last is None else _value(last)


def gold_number(text: str) -> Decimal | None:
    """Returns the number of a right answer, or None if a reader could take it for a number other than `final_number`.

    After the only `####` of a text there must be a number and nothing else: digits, with commas or no-break or thin spaces
    between groups, a decimal point, a sign, a currency or per cent sign. Ordinary spaces between groups are refused, because
    `1 234` in a sentence ends in 234. A text without a mark that is entirely a number follows the same rules. In any other
    text the last number counts, unless it is part of something longer: `1/2`, `3:30`, `5-6`, `2 million`, `\\boxed{5}`.
    """
    before, mark, after = text.partition(MARK)
    last = (after if mark else before).strip()
    if (match := _PLAIN.fullmatch(last)) is not None:
        value = Decimal(match["digits"].translate(_SEPARATORS) + (match["exponent"] or ""))
        value = value.copy_negate() if (match["sign"] or match["before"]) in ("-", "\u2212") else value
        return value if final_number(text) == value else None
    if mark:
        return None
    number = _last(_ANSWER.finditer(last))
    if number is None or _JOINED_BEFORE.search(last[: number.start()]) or _JOINED_AFTER.match(last, number.end()):
        return None
    return _value(number)


def same_number(response: str, truth: str) -> bool:
    """Returns whether the final numbers of two texts are equal, as `18.0` and `18` are; False if either has none."""
    right = final_number(truth)
    return right is not None and final_number(response) == right


def final_words(text: str) -> str:
    """Returns the final number of a text in one spelling (`18` for `18.0`), or its words if it has no number."""
    number = final_number(text)
    if number is None:
        return " ".join(text.casefold().split())
    digits = format(number, "f")  # `Decimal.normalize` would round to the precision of the context
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return digits if digits.strip("-0") else "0"


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    last = None
    for match in matches:
        last = match
    return last


def _value(match: re.Match[str]) -> Decimal:
    number = Decimal(match["digits"].translate(_SEPARATORS) + (match.groupdict().get("exponent") or ""))
    return number.copy_negate() if match["sign"] in ("-", "\u2212") else number
