"""Wrong and rounded answers, with the exact distributions that wrong answers are drawn from."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from trimtab.data.problem import Number, Problem, Role

Weights = Mapping[str, float]
"""Texts with their probabilities, which add up to 1."""

MOST_ANSWERS = 32
"""The largest number of different text answers for which the distribution of wrong answers is kept."""

_FINAL = re.compile(r"(?<![0-9.,])(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?$")


@dataclass(frozen=True)
class Label:
    """The text of an answer and the numbers in it."""

    text: str
    numbers: Sequence[Number]


def final_quantity(label: Label) -> int | None:
    """Returns the position of the number that ends an answer; None if there is none, or if it is not a quantity."""
    match = _FINAL.search(label.text)
    if match is None:
        return None
    roles = [role for start, end, role in label.numbers if start <= match.start(2) and end == len(label.text)]
    return match.start() if not roles or roles[-1] == Role.QUANTITY else None


@lru_cache(maxsize=1 << 16)
def near_numbers(text: str, decay: float, reach: int) -> Weights:
    """Returns the distribution over texts whose final number is near that of `text`.

    A number that is k units of the last place away, 1 ≤ k ≤ `reach`, has a probability proportional to decay^(k − 1); with a
    decay of 1 all 2 · reach neighbours are equally likely. Numbers keep their format (separators, leading zeros, decimals), and a
    non-negative number stays non-negative.
    """
    match = _final_number(text)
    places, amount = len(match[3] or ""), _units(match)
    weights = {}
    for distance in range(1, reach + 1):
        for other in (amount - distance, amount + distance):
            if other >= 0 or amount < 0:
                weights[text[: match.start()] + _formatted(other, places, match)] = decay ** (distance - 1)
    return _normalised(weights)


def rounded(text: str, to: int) -> str:
    """Returns the answer with its final number rounded to a multiple of `to`, halves away from zero, without decimals."""
    match = _final_number(text)
    places = len(match[3] or "")
    amount, step = _units(match), to * 10**places
    whole = (abs(amount) + step // 2) // step * to
    return text[: match.start()] + _formatted(-whole if amount < 0 else whole, 0, match)


def other_options(answer: str, options: Sequence[str]) -> Weights:
    """Returns the uniform distribution over the other options. Raises ValueError if there is no other option."""
    others = [option for option in options if option != answer]
    if not others:
        raise ValueError(f"{answer!r} is the only option, so it cannot be replaced by another one")
    return {option: 1 / len(others) for option in others}


class Pool:
    """The answers of all problems of a split. Wrong answers come from it if they are neither numbers nor options."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._counts: Counter[str] = Counter()
        self._labels: dict[str, Label] = {}
        for problem in problems:
            self._counts[problem.answer] += 1
            self._labels.setdefault(problem.answer, Label(problem.answer, problem.answer_numbers))
        self._ends: list[int] = []
        self._order = sorted(self._counts)
        total = 0
        for text in self._order:
            total += self._counts[text]
            self._ends.append(total)

    def wrong(self, answer: str, draw: float) -> Label:
        """Returns an answer other than `answer`, with its probability among the other problems' answers.

        `draw`, in [0, 1), selects it. Raises ValueError if all answers are the same.
        """
        own = self._counts[answer]
        others = self._ends[-1] - own
        if not others:
            raise ValueError(f"every problem has the answer {answer!r}, so it cannot be replaced by another one")
        place = int(draw * others)
        if own:
            index = bisect_right(self._order, answer) - 1
            if place >= self._ends[index] - own:
                place += own
        return self._labels[self._order[bisect_right(self._ends, place)]]

    def weights(self, answer: str) -> Weights | None:
        """Returns the distribution that `wrong` draws from; None if there are more than `MOST_ANSWERS` answers."""
        if len(self._counts) > MOST_ANSWERS:
            return None
        return _normalised({text: float(count) for text, count in self._counts.items() if text != answer})


def drawn(weights: Weights, draw: float) -> str:
    """Returns the text at the quantile `draw`, in [0, 1), of a distribution."""
    text = ""
    for text, weight in weights.items():
        draw -= weight
        if draw < 0:
            return text
    return text


def relabelled(label: Label, text: str) -> Label:
    """Returns a label with another text that differs only in the span at the end."""
    numbers = []
    for start, end, role in label.numbers:
        if end == len(label.text):
            # The minus sign before the number may be gone.
            unsigned = label.text[:start].endswith("-") and not text[:start].endswith("-")
            numbers.append(Number(start - unsigned, len(text), role))
        else:
            numbers.append(Number(start, end, role))
    return Label(text, tuple(numbers))


def _normalised(weights: Weights) -> Weights:
    total = sum(weights.values())
    return {text: weight / total for text, weight in weights.items()}


def _final_number(text: str) -> re.Match[str]:
    match = _FINAL.search(text)
    if match is None:
        raise ValueError(f"the answer {text!r} does not end in a number")
    return match


def _units(match: re.Match[str]) -> int:
    """The number in units of its last place."""
    amount = int(match[2].replace(",", "") + (match[3] or ""))
    return -amount if match[1] else amount


def _formatted(amount: int, places: int, like: re.Match[str]) -> str:
    """The number `amount`, in units of its last place, in the format of `like`: separators and leading zeros."""
    digits = str(abs(amount)).zfill(places + 1)
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    if "," in like[2]:
        whole = f"{int(whole):,}"
    elif like[2].startswith("0"):
        whole = whole.zfill(len(like[2]))
    return ("-" if amount < 0 else "") + whole + ("." + fraction if places else "")
