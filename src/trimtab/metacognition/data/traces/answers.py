"""Final answers in worked responses: what is in the last box, and when two mathematical answers are equal."""

import re

from trimtab.data.tasks.numbers import gold_number

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_BLANK = re.compile(r"\\[,;:! ]|\\q?quad(?![A-Za-z])|\\(?:left|right)(?![A-Za-z])|[\s$~]")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_NUMBER = re.compile(r"[-+\u2212]?(?:[0-9][0-9,]*+(?:\.[0-9]++)?|\.[0-9]++)\\?%?")
_LONGEST = 1 << 20
"""The characters at the end of a response in which its box is sought."""


def boxed(text: str) -> str | None:
    """What is in the last `\\boxed{...}` of a text whose braces match, or None. Accepts any text, in linear time."""
    text = text[-_LONGEST:]
    for start in reversed([match.end() for match in _BOX.finditer(text)][-8:]):
        depth, place = 1, start
        while place < len(text) and depth:
            if text[place] == "\\":
                place += 1
            elif text[place] in "{}":
                depth += 1 if text[place] == "{" else -1
            place += 1
        if not depth:
            return text[start : place - 1].strip()
    return None


def same_answer(one: str, other: str) -> bool:
    """Whether two final answers are equal: as numbers, or as mathematical text without spaces, `$` and marks of layout.

    Equivalent expressions that are written otherwise, such as `x+1` and `1+x`, are not equal here.
    """
    ours, theirs = plain(one), plain(other)
    if ours == theirs:
        return True
    if not (_NUMBER.fullmatch(ours) and _NUMBER.fullmatch(theirs)):
        return False
    numbers = gold_number(ours), gold_number(theirs)
    return None not in numbers and numbers[0] == numbers[1]


def plain(text: str) -> str:
    """A mathematical text without what changes only its look."""
    text = _WRAPPED.sub(r"\1", text.strip())
    text = _FRACTION.sub(r"\\frac", _BLANK.sub("", text))
    return text.removeprefix("\\(").removesuffix("\\)").rstrip(".")
