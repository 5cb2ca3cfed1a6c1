"""Answers made wrong or coarse on purpose, and the exact distribution that each wrong one is drawn from."""

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
"""So many different answers a task of text may have for the distribution of its wrong ones to be kept."""

_FINAL = re.compile(r"(?<![0-9.,])(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?$")


@dataclass(frozen=True)
class Label:
    """An answer's text and the numbers in it."""

    text: str
    numbers: Sequence[Number]


def final_quantity(label: Label) -> int | None:
    """Where the number that ends an answer starts; None where it ends in none, or in one that is no quantity."""
    found = _FINAL.search(label.text)
    if found is None:
        return None
    roles = [role for start, end, role in label.numbers if start <= found.start(2) and end == len(label.text)]
    return found.start() if not roles or roles[-1] == Role.QUANTITY else None


@lru_cache(maxsize=1 << 16)
def near_numbers(text: str, decay: float, reach: int) -> Weights:
    """The numbers around one: k units of its last place away with a chance proportional to decay^(k − 1), k from 1 to `reach`.

    The number that ends `text` is replaced, written as it was (separators, leading zeros, decimals). Numbers that are not
    negative stay so. A decay of 1 is the uniform distribution over the 2 · reach neighbours.
    """
    found = _required(text)
    places, amount = len(found[3] or ""), _units(found)
    weights = {}
    for distance in range(1, reach + 1):
        for other in (amount - distance, amount + distance):
            if other >= 0 or amount < 0:
                weights[text[: found.start()] + _written(other, places, found)] = decay ** (distance - 1)
    return _normalised(weights)


def rounded(text: str, to: int) -> str:
    """The answer with its final number rounded to a multiple of `to` (halves away from zero), decimals left out."""
    found = _required(text)
    places = len(found[3] or "")
    amount, step = _units(found), to * 10**places
    whole = (abs(amount) + step // 2) // step * to
    return text[: found.start()] + _written(-whole if amount < 0 else whole, 0, found)


def other_options(answer: str, options: Sequence[str]) -> Weights:
    """The options but for one, all alike. Raises ValueError where there is no other."""
    others = [option for option in options if option != answer]
    if not others:
        raise ValueError(f"{answer!r} is the only option, so that it cannot be replaced by another one")
    return {option: 1 / len(others) for option in others}


class Pool:
    """The answers of all the problems of a split: what a wrong answer is drawn from where it is no number and no option."""

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
        """Another answer, with the chance that it has among the other problems' answers; `draw` in [0, 1) decides.

        Raises ValueError where all answers are the same.
        """
        own = self._counts[answer]
        others = self._ends[-1] - own
        if not others:
            raise ValueError(f"every problem has the answer {answer!r}, so that none can be replaced by another one")
        place = int(draw * others)
        if own:
            index = bisect_right(self._order, answer) - 1
            if place >= self._ends[index] - own:
                place += own
        return self._labels[self._order[bisect_right(self._ends, place)]]

    def weights(self, answer: str) -> Weights | None:
        """The distribution that `wrong` draws from; None where there are more than `MOST_ANSWERS` answers."""
        if len(self._counts) > MOST_ANSWERS:
            return None
        return _normalised({text: float(count) for text, count in self._counts.items() if text != answer})


def drawn(weights: Weights, draw: float) -> str:
    """The text at `draw` in [0, 1) of a distribution's cumulated weights."""
    text = ""
    for text, weight in weights.items():
        draw -= weight
        if draw < 0:
            return text
    return text


def relabelled(label: Label, text: str) -> Label:
    """Another text for a label, which differs from its first in the number (or the whole) at the end."""
    numbers = []
    for start, end, role in label.numbers:
        if end == len(label.text):
            # A sign that stood before the number may be gone.
            unsigned = label.text[:start].endswith("-") and not text[:start].endswith("-")
            numbers.append(Number(start - unsigned, len(text), role))
        else:
            numbers.append(Number(start, end, role))
    return Label(text, tuple(numbers))


def _normalised(weights: Weights) -> Weights:
    total = sum(weights.values())
    return {text: weight / total for text, weight in weights.items()}


def _required(text: str) -> re.Match[str]:
    found = _FINAL.search(text)
    if found is None:
        raise ValueError(f"the answer {text!r} ends in no number")
    return found


def _units(found: re.Match[str]) -> int:
    """A number in units of its last place."""
    amount = int(found[2].replace(",", "") + (found[3] or ""))
    return -amount if found[1] else amount


def _written(amount: int, places: int, like: re.Match[str]) -> str:
    """A number of units written as another one is: its separators, its leading zeros, its decimals."""
    digits = str(abs(amount)).zfill(places + 1)
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    if "," in like[2]:
        whole = f"{int(whole):,}"
    elif like[2].startswith("0"):
        whole = whole.zfill(len(like[2]))
    return ("-" if amount < 0 else "") + whole + ("." + fraction if places else "")
