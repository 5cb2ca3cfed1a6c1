"""The task `urns`: multiple choice about urns and dice, with the exact probability of each answer."""

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
"""The largest number of balls of one colour."""

DICE = (4, 6, 8, 10, 12, 20)

_ROLE_SPANS = re.compile(r"(?P<quantity>[0-9]+)|(?P<sign>[<>])|(?P<label>(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z]))")
_ROLES = {"quantity": Role.QUANTITY, "sign": Role.STRUCTURE, "label": Role.CATEGORY}


class Choice(NamedTuple):
    """A prompt with its options, and the number of equally likely cases in which each option is the answer.

    `key` is the prompt in canonical order, with colours by name, and interchangeable dice or urns from the smaller to the larger.
    """

    prompt: str
    key: str
    options: tuple[str, ...]
    cases: tuple[int, ...]
    counted: bool = False


class Urns(GeneratedTask):
    """Draws from urns and dice. Answers are drawn from the exact distribution, which is part of the problem.

    | level | question | options |
    | --- | --- | --- |
    | 1 | one draw: `urn r3 b1 g4, draw:` | the colours |
    | 2 | two draws without replacement, the second: `urn r3 b1, draw 2, second:` | the colours |
    | 2 | whether both have the same colour: `urn r3 b1, draw 2, same:` | y, n |
    | 2 | how many have a colour: `urn r3 b1, draw 2, count r:` | 0, 1, 2 |
    | 3 | two dice: the sum (`dice 6 8, sum>7:`), or which is higher (`dice 6 8, higher:`) | y, n; 1, 2, = |
    | 4 | given the first draw: `urn r3 b1, first r, second:`, `dice 6 8, first 3, sum>7:` | the colours; y, n |
    | 5 | which of two urns, chosen by a fair coin: `A r3 b1, B r1 b2, drew r, urn:` | A, B |

    The order of urns and dice does not change the question: `urn r3 b1, draw:` and `urn b1 r3, draw:` are in one split, and so
    are `dice 6 8, sum>7:` and `dice 8 6, sum>7:`. Training answers are drawn, so the same question appears with different
    answers; this is the task's own label noise. Counts, faces and sums are quantities; colours and other labels are categories.
    `truth` is the most likely option, and `uncertainty` the probability that the answer is another one.
    """

    name: ClassVar[str] = "urns"
    metrics = ("exact_match", "truth_probability")

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...],
            Field(min_length=1, description="levels to draw from, in turn"),
        ] = (1, 2, 3, 4),
        colours: Annotated[int, Field(ge=2, le=len(COLOURS), description="largest number of colours in an urn")] = 3,
    ) -> None:
        self.levels, self.colours = levels, colours

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        return {"version": 2, "levels": list(self.levels), "colours": self.colours}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """See `GeneratedTask.problem`. The answer is drawn from the exact distribution."""
        choice = self._choice(level, rng)
        total = sum(choice.cases)
        # An integer draw, so that the probabilities are exact.
        option, case = 0, rng.randrange(total)
        while case >= choice.cases[option]:
            case -= choice.cases[option]
            option += 1
        answer = choice.options[option]
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
            prompt_numbers=_roles(choice.prompt),
            answer_numbers=(Number(0, len(answer), Role.QUANTITY if choice.counted else Role.CATEGORY),),
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the first word is a most likely option; `truth_probability`: the true probability of the first word."""
        word = self.final_answer(problem, response)
        probabilities = dict(zip(problem.options, problem.option_probabilities, strict=True))
        probability = probabilities.get(word, 0.0)
        is_most_likely = probability > 0 and probability >= max(probabilities.values())
        return {"exact_match": float(is_most_likely), "truth_probability": probability}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The first word of the response, without punctuation after it."""
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
        return self._given_first(rng)

    def _urn(self, rng: random.Random, colours: int | None = None) -> dict[str, int]:
        """Draws an urn: the number of balls of each colour, for at least two colours."""
        colours = 2 + int(rng.random() * (self.colours - 1)) if colours is None else colours
        return {colour: 1 + int(rng.random() * MOST) for colour in rng.sample(COLOURS[: self.colours], colours)}

    def _given_first(self, rng: random.Random) -> Choice:
        if rng.random() < 0.5:
            urn = self._urn(rng)
            drawn = rng.choice(list(urn))
            left = {colour: count - (colour == drawn) for colour, count in urn.items()}
            return _of_urn(urn, f"first {drawn}, second", left)
        one, other = rng.choice(DICE), rng.choice(DICE)
        first, above = 1 + int(rng.random() * one), int(rng.random() * (other + 1))
        bound = first + other - above
        # The order matters: the first die has been thrown.
        prompt = f"dice {one} {other}, first {first}, sum>{bound}:"
        return Choice(prompt, prompt, ("y", "n"), (above, other - above))

    def _which_urn(self, rng: random.Random) -> Choice:
        one = self._urn(rng, 2)
        other = {colour: 1 + int(rng.random() * MOST) for colour in one}
        drawn = rng.choice(list(one))
        # Bayes with equal priors; the two shares of the colour have a common denominator.
        cases = (one[drawn] * sum(other.values()), other[drawn] * sum(one.values()))
        lower, upper = sorted((_sorted_text(one), _sorted_text(other)))
        return Choice(
            f"A {_text(one)}, B {_text(other)}, drew {drawn}, urn:",
            f"A {lower}, B {upper}, drew {drawn}, urn:",
            ("A", "B"),
            cases,
        )


def _of_urn(urn: Mapping[str, int], question: str, cases: Mapping[str, int], counted: bool = False) -> Choice:
    prompt, key = (f"urn {balls}, {question}:" for balls in (_text(urn), _sorted_text(urn)))
    return Choice(prompt, key, tuple(cases), tuple(cases.values()), counted)


def _of_dice(one: int, other: int, question: str, options: tuple[str, ...], cases: tuple[int, ...]) -> Choice:
    key = f"dice {min(one, other)} {max(one, other)}, {question}:"
    return Choice(f"dice {one} {other}, {question}:", key, options, cases)


def _two_draws(urn: Mapping[str, int], rng: random.Random) -> Choice:
    total = sum(urn.values())
    kind = int(rng.random() * 3)
    if kind == 0:  # without the first, the second is a draw from the whole urn
        return _of_urn(urn, "draw 2, second", urn)
    if kind == 1:
        same = sum(count * (count - 1) for count in urn.values())
        return _of_urn(urn, "draw 2, same", {"y": same, "n": total * (total - 1) - same})
    colour = rng.choice(list(urn))
    own, others = urn[colour], total - urn[colour]
    cases = {"0": others * (others - 1), "1": 2 * own * others, "2": own * (own - 1)}
    return _of_urn(urn, f"draw 2, count {colour}", cases, counted=True)


def _two_dice(one: int, other: int, rng: random.Random) -> Choice:
    if rng.random() < 0.25:
        return _of_dice(one, other, "higher", ("1", "2", "="), _higher(one, other))
    sign, bound = "<>"[rng.random() < 0.5], 2 + int(rng.random() * (one + other - 1))
    cases = _sums(one, other, sign, bound)
    return _of_dice(one, other, f"sum{sign}{bound}", ("y", "n"), (cases, one * other - cases))


@cache
def _higher(one: int, other: int) -> tuple[int, int, int]:
    """The number of throws of two dice in which the first, the second or neither is higher."""
    less = min(one, other)
    both = less * (less - 1) // 2
    return both + (one - less) * other, both + (other - less) * one, less


@cache
def _sums(one: int, other: int, sign: str, bound: int) -> int:
    """The number of throws of two dice whose sum is above (`>`) or below (`<`) a bound."""
    totals = [first + second for first in range(1, one + 1) for second in range(1, other + 1)]
    return sum(total > bound if sign == ">" else total < bound for total in totals)


def _text(urn: Mapping[str, int]) -> str:
    return " ".join(f"{colour}{count}" for colour, count in urn.items())


def _sorted_text(urn: Mapping[str, int]) -> str:
    return _text(dict(sorted(urn.items())))


def _roles(prompt: str) -> tuple[Number, ...]:
    """Numbers are quantities, and the one-letter labels of colours and urns categories; words have no role."""
    return tuple(Number(*match.span(), _ROLES[match.lastgroup or ""]) for match in _ROLE_SPANS.finditer(prompt))
