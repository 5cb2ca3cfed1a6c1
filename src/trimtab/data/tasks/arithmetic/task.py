"""The task `arithmetic`: sums, differences, products and chains of whole numbers, with or without the working."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from trimtab.data.problem import Number, Problem, Role
from trimtab.data.tasks.arithmetic.expressions import (
    Expression,
    Operation,
    drawn,
    never_negative,
    ordered_terms,
    parsed,
    value,
    worked,
)
from trimtab.data.tasks.generated import GeneratedTask

_DIGITS = re.compile(r"[0-9]+")
_LEADING = re.compile(r"(-?)0*([0-9]+)(?:\.([0-9]*))?")


class Arithmetic(GeneratedTask):
    """Arithmetic of whole numbers, no value negative: `37+48=` is answered by `85`.

    | level | sum, difference | product | chain |
    | --- | --- | --- | --- |
    | 1 | two numbers of 2 digits | 1 digit by 2 | three numbers of 1 digit, + and − |
    | 2 | two of 3 digits | 1 by 3 | three of 2 digits |
    | 3 | two of 4 digits | 2 by 2 | four of 2 digits |
    | 4 | two of 5 digits | 2 by 3 | three terms of 2 digits, one of them a product of 1 by 1 |
    | 5 | two of 6 digits | 3 by 3 | four terms of 2 digits, two of them products of 1 by 2 |

    With `scratch` the answer has its working before it, each step an equation: `7+8=15;3+4+1=8;85` (see `worked` for the steps of
    each operation). Numbers are quantities and everything else is structure. A question is its terms in whatever order and with
    whichever signs: 37+48, 48+37 and 48-37 are all in one split, and so are 7*9-12+44, 12+9*7-44 and 44+12-7*9. `operations`
    are drawn with equal chances.
    """

    name: ClassVar[str] = "arithmetic"

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1, description="levels, taken in turn")
        ] = (1, 2, 3),
        operations: Annotated[
            tuple[Operation, ...], Field(min_length=1, description="what is asked, drawn with equal chances")
        ] = ("sum", "difference", "product", "chain"),
        scratch: Annotated[
            bool, Field(description="the answer has its working before it, and that is scored too")
        ] = False,
        carries: Annotated[
            int | None,
            Field(
                ge=0,
                description="exactly so many carries (borrows) in each sum and difference; null leaves them to chance",
            ),
        ] = None,
    ) -> None:
        self.levels, self.operations, self.scratch, self.carries = levels, operations, scratch, carries
        self.figures: Sequence[str] = ("exact_match", "steps") if scratch else ("exact_match",)
        self.check(dict(self.identity))

    @staticmethod
    def check(parameters: Mapping[str, Any]) -> None:
        """Raises ValueError where no sum or difference of the easiest level has as many carries."""
        if parameters["carries"] is None:
            return
        operations, easiest = parameters["operations"], min(parameters["levels"])
        if "sum" not in operations and "difference" not in operations:
            raise ValueError(
                "carries is of sums and differences, and operations has neither. Set it to null, or add one of them."
            )
        most = easiest if "difference" in operations else easiest + 1
        if parameters["carries"] > most:
            kind = "difference" if "difference" in operations else "sum"
            raise ValueError(
                f"carries is {parameters['carries']}, and a {kind} of level {easiest} has {most} at most. Ask for fewer, or "
                "leave out that level."
            )

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        return {
            "version": 2,
            "levels": list(self.levels),
            "operations": list(self.operations),
            "scratch": self.scratch,
            "carries": self.carries,
        }

    def problem(self, level: int, rng: random.Random) -> Problem:
        """One problem of a level."""
        operation = self.operations[int(rng.random() * len(self.operations))]
        return self._asked(drawn(operation, level, self.carries, rng), level)

    def _asked(self, expression: Expression, level: int, prompt: str = "") -> Problem:
        """The problem of an expression; `prompt` is how it is written where that is not as it is meant."""
        prompt = prompt or expression.text + "="
        key = "?".join("*".join(map(str, term)) for term in ordered_terms(expression)) + "="
        answer = str(value(expression))
        if self.scratch:
            answer = ";".join([*worked(expression), answer])
        return Problem(
            prompt, answer, answer, level, key, prompt_numbers=spelled(prompt), answer_numbers=spelled(answer)
        )

    def two_readings(self, problem: Problem, rng: random.Random) -> tuple[Problem, Problem] | None:
        """The problem with one of its signs written `?`, answered with + and with −; None for a product of two."""
        numbers, operators = parsed(problem.prompt.removesuffix("="))
        if len(numbers) == 2:
            if operators == "*":
                return None
            pairs = [tuple(Expression((max(numbers), min(numbers)), sign) for sign in "+-")]
        else:
            pairs = []
            for place, operator in enumerate(operators):
                both = tuple(Expression(numbers, operators[:place] + sign + operators[place + 1 :]) for sign in "+-")
                if operator != "*" and all(map(never_negative, both)):
                    pairs.append(both)
        if not pairs:
            return None
        plus, minus = pairs[int(rng.random() * len(pairs))]
        written = "".join(
            one if one == other else "?" for one, other in zip(plus.text, minus.text, strict=True)
        )  # they differ in one sign
        first, second = (self._asked(reading, problem.level, written + "=") for reading in (plus, minus))
        return first, second

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the number (after the last `;` with scratch) is right, whatever text follows it on its line.

        `steps`, with scratch: of the right steps, the share that the response has in their place; steps too many count as
        wrong ones. Where a question has several equally likely readings each of them is right.
        """
        right = problem.likeliest
        line = response.strip().partition("\n")[0]
        *steps, final = line.split(";") if self.scratch else [line]
        figures = {"exact_match": float(any(_same_number(final, answer.rpartition(";")[2]) for answer in right))}
        if self.scratch:
            given = [step.strip() for step in steps]
            figures["steps"] = max(_agreeing(given, answer.split(";")[:-1]) for answer in right)
        return figures

    def final_answer(self, problem: Problem, response: str) -> str:
        """The number that `score` compares, without what follows it; where there is none, the text in its place."""
        line = response.strip().partition("\n")[0]
        final = (line.rpartition(";")[2] if self.scratch else line).strip()
        found = _LEADING.match(final)
        if found is None:
            return final
        decimals = (found[3] or "").rstrip("0")
        return f"{found[1]}{found[2]}{'.' if decimals else ''}{decimals}"


def spelled(text: str) -> tuple[Number, ...]:
    """What a text of arithmetic is made of: its numbers are quantities, all the rest is structure."""
    quantities = [Number(*match.span(), Role.QUANTITY) for match in _DIGITS.finditer(text)]
    return (Number(0, len(text), Role.STRUCTURE), *quantities)


def _same_number(response: str, right: str) -> bool:
    """Whether a response begins with the number `right`; compared as text, so that no length is too long."""
    found = _LEADING.match(response.strip())
    return found is not None and not found[1] and found[2] == right and not (found[3] or "").strip("0")


def _agreeing(given: Sequence[str], right: Sequence[str]) -> float:
    agreeing = sum(one == other for one, other in zip(given, right, strict=False))
    return agreeing / max(len(given), len(right))
