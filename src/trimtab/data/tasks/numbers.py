"""Numbers in a text: where they stand, and which of them is the answer."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

MARK = "####"
"""What stands before the final number of a worked solution (GSM8K, Cobbe et al. 2021)."""

_FIXED = "\u00a0\u2009\u202f"
"""No-break and thin spaces: between digits they set thousands apart, and nothing else."""

_INDIAN = r"[0-9]{1,2}(?:,[0-9]{2}(?![0-9])){1,8}+,[0-9]{3}(?![0-9])"
"""Groups of two digits before a last one of three: 12,34,567. Without a bound the time would be quadratic."""

# A minus after a word, a digit or a bracket is a subtraction or a hyphen; a currency sign may stand on either side of it.
_SIGN = r"(?:(?<![\w)\]])(?P<sign>[-+\u2212])[$€£¥]?+)?+"
_EXPONENT = r"(?P<exponent>[eE][-+]?+[0-9]{1,3}+(?!\w|\.[0-9]))?+"
# Commas are part of a number between groups of three digits only. The possessive quantifiers keep the time linear.
_NUMBER = re.compile(
    _SIGN + r"(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3}(?![0-9]))++|[0-9]++)(?:\.[0-9]++)?+|(?<!\w)\.[0-9]++)"
)


def _answer(spaces: str) -> re.Pattern[str]:
    """A number as an answer gives it: groups may also be Indian or set apart by a space, and an exponent may follow."""
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
# What joins the last number of a text to something before or after it: a fraction, a time, a range, a power, markup.
_JOINED_BEFORE = re.compile(r"(?:[/:^_\\{'’√]\s*|[0-9]\s*[-\u2013]\s*|[0-9][.,eE]|[0-9]\s+)\Z")
_JOINED_AFTER = re.compile(
    r"\s*[/:^_\\}'’][0-9A-Za-z\\{(]?|[¹²³½¼¾π]|[.,][0-9]|\s*(?:dozen|hundred|thousand|million|billion|trillion|half|halves|squared)\b",
    re.I,
)
_SEPARATORS = str.maketrans("", "", f", {_FIXED}")
_MARKED_LINE = re.compile(MARK + r"([^\n]*+)")


class NumberFound(NamedTuple):
    """A number of a text: its digits stand at `start` to `end` (exclusive, without the sign); `value` has the sign."""

    start: int
    end: int
    value: Decimal


def numbers_in(text: str) -> Iterator[NumberFound]:
    """The numbers of a text in order: ASCII digits with commas between groups of three, decimals and a sign.

    The sign (`-`, `+` or U+2212) counts where no word, digit or closing bracket stands before it, so `10-5` has 10 and 5.
    Fractions, exponents and number words are not read: `1/2` has 1 and 2.
    """
    for match in _NUMBER.finditer(text):
        yield NumberFound(*match.span("digits"), _value(match))


def final_number(text: str) -> Decimal | None:
    """The number that a text gives as its answer, or None. Takes any text, in linear time.

    The convention of GSM8K's own grader: the first number that follows `####`, without its commas. What that grader would
    call invalid is read as kindly as is safe: a currency sign, asterisks or `+` after the mark are passed over; else the
    first number on a line after a mark counts; a text with marks and no number after any has no answer. Without a mark the
    last number of the text is the answer, as `numbers_in` finds them; so units, a full stop or a per cent sign may follow.

    Commas may also set Indian groups apart: `12,34,567`. Beside commas, thousands may be set apart by no-break or thin spaces,
    and by plain ones after a mark or where the number is all the text: `#### 1 000` is 1000, and `for 3 200 g bags` ends in
    200. An exponent is read: `1.5e3` is 1500.
    """
    if (match := _MARKED.search(text)) is not None:
        return _value(match)
    lines = _MARKED_LINE.findall(text)
    if lines:
        return next((_value(found) for line in lines for found in _ON_MARKED_LINE.finditer(line)), None)
    if _ALONE.fullmatch(alone := text.strip()) and (match := _MARKED.match(MARK + alone)) is not None:
        return _value(match)
    last: re.Match[str] | None = None
    for last in _ANSWER.finditer(text):  # noqa: B007
        pass
    return None if last is None else _value(last)


def gold_number(text: str) -> Decimal | None:
    """The number of a right answer, or None where a reader could take it for another one than `final_number` does.

    After the only `####` of a text there must be nothing but a number: digits, with commas or no-break or thin spaces between
    groups, a decimal point, a sign, a currency or per cent sign. Plain spaces between groups are refused: in a sentence,
    `1 234` ends in 234. The same holds for a text without a mark that is all number; in any
    other text the last number counts, unless it is a part of something: `1/2`, `3:30`, `5-6`, `2 million`, `\\boxed{5}`.
    """
    before, mark, after = text.partition(MARK)
    last = (after if mark else before).strip()
    if (match := _PLAIN.fullmatch(last)) is not None:
        value = Decimal(match["digits"].translate(_SEPARATORS) + (match["exponent"] or ""))
        value = value.copy_negate() if (match["sign"] or match["before"]) in ("-", "\u2212") else value
        return value if final_number(text) == value else None
    if mark:
        return None
    found: re.Match[str] | None = None
    for found in _ANSWER.finditer(last):  # noqa: B007
        pass
    if found is None or _JOINED_BEFORE.search(last[: found.start()]) or _JOINED_AFTER.match(last, found.end()):
        return None
    return _value(found)


def same_number(response: str, truth: str) -> bool:
    """Whether the final numbers of two texts are equal, as `18.0` and `18` are; false where one has none."""
    wanted = final_number(truth)
    return wanted is not None and final_number(response) == wanted


def final_words(text: str) -> str:
    """The final number of a text in one spelling (`18` for `18.0`); of a text that has none, its words."""
    found = final_number(text)
    if found is None:
        return " ".join(text.casefold().split())
    digits = format(found, "f")  # plain, and of any length: `normalize` would round to the context's precision
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return digits if digits.strip("-0") else "0"


def _value(match: re.Match[str]) -> Decimal:
    number = Decimal(match["digits"].translate(_SEPARATORS) + (match.groupdict().get("exponent") or ""))
    return number.copy_negate() if match["sign"] in ("-", "\u2212") else number
