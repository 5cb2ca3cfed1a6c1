"""The task `urns`: multiple choice about urns and dice, where the probability of each answer is known exactly."""

import random
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from trimtab.data.problem import Number, Problem, Role
from trimtab.data.tasks.generated import GeneratedTask

COLOURS = "rgbw"
MOST = 9
"""Balls of a colour, at most."""

DICE = (4, 6, 8, 10, 12, 20)

_MARKS = re.compile(r"(?P<quantity>[0-9]+)|(?P<sign>[<>])|(?P<label>(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z]))")
_ROLES = {"quantity": Role.QUANTITY, "sign": Role.STRUCTURE, "label": Role.CATEGORY}


class Choice(NamedTuple):
    """A prompt with its options, and in how many of the equally likely cases each of them is the answer.

    `key` is the prompt in its one order: colours by name, and dice or urns that stand side by side from the smaller to the
    larger, as neither order changes what is asked.
    """

    prompt: str
    key: str
    options: tuple[str, ...]
    cases: tuple[int, ...]
    counted: bool = False


class Urns(GeneratedTask):
    """Draws from stated urns and dice: the answer is drawn from the exact distribution, and the distribution is given.

    | level | question | options |
    | --- | --- | --- |
    | 1 | one draw: `urn r3 b1 g4, draw:` | the colours |
    | 2 | two draws without putting back, the second: `urn r3 b1, draw 2, second:` | the colours |
    | 2 | are both of one colour: `urn r3 b1, draw 2, same:` | y, n |
    | 2 | how many are of a colour: `urn r3 b1, draw 2, count r:` | 0, 1, 2 |
    | 3 | two dice: the sum (`dice 6 8, sum>7:`), which is higher (`dice 6 8, higher:`) | y, n; 1, 2, = |
    | 4 | told what came first: `urn r3 b1, first r, second:`, `dice 6 8, first 3, sum>7:` | the colours; y, n |
    | 5 | which of two urns, picked by a fair coin: `A r3 b1, B r1 b2, drew r, urn:` | A, B |

    A question is its urns and dice in whatever order: `urn r3 b1, draw:` and `urn b1 r3, draw:` are in one split, and so are
    `dice 6 8, sum>7:` and `dice 8 6, sum>7:`. Training answers are drawn, so one question comes with several answers; that is
    the noise of the task itself. Counts, faces and sums are quantities, colours and other labels are categories. A problem's
    `uncertainty` is the chance that its answer is not the likeliest option, which is its `truth`.
    """

    name: ClassVar[str] = "urns"
    figures = ("exact_match", "truth_probability")

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1, description="levels, taken in turn")
        ] = (1, 2, 3, 4),
        colours: Annotated[int, Field(ge=2, le=len(COLOURS), description="colours in an urn, at most")] = 3,
    ) -> None:
        self.levels, self.colours = levels, colours

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        return {"version": 2, "levels": list(self.levels), "colours": self.colours}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """One problem of a level, its answer drawn from the exact distribution."""
        choice = self._choice(level, rng)
        total = sum(choice.cases)
        # A whole number below the number of cases, so that the draw is exact too.
        place, case = 0, rng.randrange(total)
        while case >= choice.cases[place]:
            case -= choice.cases[place]
            place += 1
        answer = choice.options[place]
        most = max(choice.cases)
        return Problem(
            prompt=choice.prompt,
            answer=answer,
            truth=choice.options[choice.cases.index(most)],
            level=level,
            key=choice.key,
            options=choice.options,
            option_probabilities=tuple(cases / total for cases in choice.cases),
            uncertainty=1 - most / total,
            prompt_numbers=_marked(choice.prompt),
            answer_numbers=(Number(0, len(answer), Role.QUANTITY if choice.counted else Role.CATEGORY),),
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the response's first word is a likeliest option; `truth_probability`: the true chance of that word."""
        word = self.final_answer(problem, response)
        chances = dict(zip(problem.options, problem.option_probabilities, strict=True))
        chance = chances.get(word, 0.0)
        return {"exact_match": float(chance > 0 and chance >= max(chances.values())), "truth_probability": chance}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The response's first word, without punctuation after it."""
        words = response.split(None, 1)
        return words[0].rstrip(".,;:") if words else ""

    def _choice(self, level: int, rng: random.Random) -> Choice:
        if level == 1:
            urn = self._urn(rng)
            return _of_urn(urn, "draw", urn)
        if level == 2:
            return _two_draws(self._urn(rng), rng)
        if level == 3:
            return _two_dice(rng.choice(DICE), rng.choice(DICE), rng)
        if level == 5:
            return self._which_urn(rng)
        return self._first_told(rng)

    def _urn(self, rng: random.Random, colours: int | None = None) -> dict[str, int]:
        """An urn's balls by colour, at least two of them."""
        colours = 2 + int(rng.random() * (self.colours - 1)) if colours is None else colours
        return {colour: 1 + int(rng.random() * MOST) for colour in rng.sample(COLOURS[: self.colours], colours)}

    def _first_told(self, rng: random.Random) -> Choice:
        if rng.random() < 0.5:
            urn = self._urn(rng)
            drawn = rng.choice(list(urn))
            left = {colour: count - (colour == drawn) for colour, count in urn.items()}
            return _of_urn(urn, f"first {drawn}, second", left)
        one, other = rng.choice(DICE), rng.choice(DICE)
        first, above = 1 + int(rng.random() * one), int(rng.random() * (other + 1))
        bound = first + other - above
        # The die that was thrown first is told apart from the other one: their order matters here.
        prompt = f"dice {one} {other}, first {first}, sum>{bound}:"
        return Choice(prompt, prompt, ("y", "n"), (above, other - above))

    def _which_urn(self, rng: random.Random) -> Choice:
        one = self._urn(rng, 2)
        other = {colour: 1 + int(rng.random() * MOST) for colour in one}
        drawn = rng.choice(list(one))
        # Bayes with equal priors, the two shares of the colour brought over one denominator.
        cases = (one[drawn] * sum(other.values()), other[drawn] * sum(one.values()))
        lower, upper = sorted((_in_order(one), _in_order(other)))
        return Choice(
            f"A {_shown(one)}, B {_shown(other)}, drew {drawn}, urn:",
            f"A {lower}, B {upper}, drew {drawn}, urn:",
            ("A", "B"),
            cases,
        )


def _of_urn(urn: Mapping[str, int], asked: str, cases: Mapping[str, int], counted: bool = False) -> Choice:
    prompt, key = (f"urn {shown}, {asked}:" for shown in (_shown(urn), _in_order(urn)))
    return Choice(prompt, key, tuple(cases), tuple(cases.values()), counted)


def _of_dice(one: int, other: int, asked: str, options: tuple[str, ...], cases: tuple[int, ...]) -> Choice:
    key = f"dice {min(one, other)} {max(one, other)}, {asked}:"
    return Choice(f"dice {one} {other}, {asked}:", key, options, cases)


def _two_draws(urn: Mapping[str, int], rng: random.Random) -> Choice:
    total = sum(urn.values())
    kind = int(rng.random() * 3)
    if kind == 0:  # whichever came first, the second is a draw from the whole urn
        return _of_urn(urn, "draw 2, second", urn)
    if kind == 1:
        same = sum(count * (count - 1) for count in urn.values())
        return _of_urn(urn, "draw 2, same", {"y": same, "n": total * (total - 1) - same})
    asked = rng.choice(list(urn))
    of_it, others = urn[asked], total - urn[asked]
    cases = {"0": others * (others - 1), "1": 2 * of_it * others, "2": of_it * (of_it - 1)}
    return _of_urn(urn, f"draw 2, count {asked}", cases, counted=True)


def _two_dice(one: int, other: int, rng: random.Random) -> Choice:
    if rng.random() < 0.25:
        return _of_dice(one, other, "higher", ("1", "2", "="), _higher(one, other))
    sign, bound = "<>"[rng.random() < 0.5], 2 + int(rng.random() * (one + other - 1))
    cases = _sums(one, other, sign, bound)
    return _of_dice(one, other, f"sum{sign}{bound}", ("y", "n"), (cases, one * other - cases))


@cache
def _higher(one: int, other: int) -> tuple[int, int, int]:
    """Of the throws of two dice, in how many the first, the second or neither is higher."""
    less = min(one, other)
    both = less * (less - 1) // 2
    return both + (one - less) * other, both + (other - less) * one, less


@cache
def _sums(one: int, other: int, sign: str, bound: int) -> int:
    """Of the throws of two dice, in how many the sum is over (`>`) or under (`<`) a bound."""
    totals = [first + second for first in range(1, one + 1) for second in range(1, other + 1)]
    return sum(total > bound if sign == ">" else total < bound for total in totals)


def _shown(urn: Mapping[str, int]) -> str:
    return " ".join(f"{colour}{count}" for colour, count in urn.items())


def _in_order(urn: Mapping[str, int]) -> str:
    return _shown(dict(sorted(urn.items())))


def _marked(prompt: str) -> tuple[Number, ...]:
    """Numbers are quantities, one-letter labels of colours and urns categories; words stay text."""
    return tuple(Number(*match.span(), _ROLES[match.lastgroup or ""]) for match in _MARKS.finditer(prompt))
