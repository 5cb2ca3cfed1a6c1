"""The task `arithmetic`: sums, differences, products and chains of whole numbers, with or without working."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from trimtab.data.problem import Number, Problem, Role, Working
from trimtab.data.tasks.arithmetic.expressions import (
    Expression,
    Operation,
    draw_expression,
    evaluate,
    is_never_negative,
    ordered_terms,
    parse,
    working,
)
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.errors import ConfigError

_DIGITS = re.compile(r"[0-9]+")
_LEADING = re.compile(r"(-?)0*([0-9]+)(?:\.([0-9]*))?")


class Arithmetic(GeneratedTask):
    """Arithmetic with whole numbers and no negative values: the answer to `37+48=` is `85`.

    | level | sum, difference | product | chain |
    | --- | --- | --- | --- |
    | 1 | two numbers of 2 digits | 1 digit by 2 | three numbers of 1 digit, + and − |
    | 2 | two of 3 digits | 1 by 3 | three of 2 digits |
    | 3 | two of 4 digits | 2 by 2 | four of 2 digits |
    | 4 | two of 5 digits | 2 by 3 | three terms of 2 digits, one replaced by a product of two 1-digit numbers |
    | 5 | two of 6 digits | 3 by 3 | four terms of 2 digits, two replaced by products of 1 by 2 digits |

    With `scratch`, the answer starts with its working, one equation per step: `7+8=15;3+4+1=8;85` (see `working` for the steps of
    each operation). Roles for number-aware losses (`Role`): numbers are QUANTITY, the rest is STRUCTURE. The order and the signs
    of the terms do not change the question: 37+48, 48+37 and 48-37 are all in one split, and so are 7*9-12+44, 12+9*7-44 and
    44+12-7*9. The `operations` are drawn with equal probabilities.
    """

    name: ClassVar[str] = "arithmetic"

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...],
            Field(min_length=1, description="levels, used in turn"),
        ] = (1, 2, 3),
        operations: Annotated[
            tuple[Operation, ...], Field(min_length=1, description="operations, drawn with equal probabilities")
        ] = ("sum", "difference", "product", "chain"),
        scratch: Annotated[bool, Field(description="answers include the working, which is scored too")] = False,
        carries: Annotated[
            int | None,
            Field(
                ge=0,
                description="the exact number of carries (borrows) in each sum and difference; null leaves it to chance",
            ),
        ] = None,
    ) -> None:
        self.levels, self.operations, self.scratch, self.carries = levels, operations, scratch, carries
        self.metrics: Sequence[str] = ("exact_match", "steps") if scratch else ("exact_match",)
        self.check(dict(self.identity))

    @staticmethod
    def check(parameters: Mapping[str, Any]) -> None:
        """Raises ValueError if `carries` is set and cannot be kept.

        That is if `operations` has no sum or difference, or one of them cannot have that many carries at the easiest level.
        """
        if parameters["carries"] is None:
            return
        operations, easiest = parameters["operations"], min(parameters["levels"])
        if "sum" not in operations and "difference" not in operations:
            raise ValueError(
                "`carries` applies to sums and differences, but `operations` has neither. Set `carries` to null, or add one of "
                "them."
            )
        most = easiest if "difference" in operations else easiest + 1
        if parameters["carries"] > most:
            kind = "difference" if "difference" in operations else "sum"
            raise ValueError(
                f"`carries` is {parameters['carries']}, but a {kind} of level {easiest} has at most {most}. Set a smaller "
                "number, or leave out that level."
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
        """See `GeneratedTask.problem`."""
        operation = self.operations[int(rng.random() * len(self.operations))]
        return self._problem_of(draw_expression(operation, level, self.carries, rng), level)

    def _problem_of(self, expression: Expression, level: int, prompt: str = "") -> Problem:
        """The problem whose answer is the value of an expression; `prompt` replaces the expression's own text."""
        prompt = prompt or expression.text + "="
        key = "?".join("*".join(map(str, term)) for term in ordered_terms(expression)) + "="
        answer = str(evaluate(expression))
        if self.scratch:
            answer = ";".join([*working(expression), answer])
        return Problem(prompt, answer, answer, level, key, prompt_numbers=_roles(prompt), answer_numbers=_roles(answer))

    def working(self, problem: Problem) -> Working:
        """The steps of `scratch`; the method is 0 for a sum, 1 for a difference, 2 for a product and 3 for a chain.

        Raises `ConfigError` with `scratch`.
        """
        if self.scratch:
            raise ConfigError(
                "data.task.scratch: with it the answers contain their working. Set it to false; the thought has the same steps."
            )
        expression = parse(problem.prompt.removesuffix("="))
        method = "+-*".index(expression.operators) if len(expression.operators) == 1 else 3
        return Working(";".join(working(expression)), method)

    def two_readings(self, problem: Problem, rng: random.Random) -> tuple[Problem, Problem] | None:
        """The problem with one sign written as `?`, answered once for + and once for −.

        None if no sign can be exchanged, as in a product of two numbers.
        """
        numbers, operators = parse(problem.prompt.removesuffix("="))
        if len(numbers) == 2:
            if operators == "*":
                return None
            pairs = [tuple(Expression((max(numbers), min(numbers)), sign) for sign in "+-")]
        else:
            pairs = []
            for place, operator in enumerate(operators):
                both = tuple(Expression(numbers, operators[:place] + sign + operators[place + 1 :]) for sign in "+-")
                if operator != "*" and all(map(is_never_negative, both)):
                    pairs.append(both)
        if not pairs:
            return None
        plus, minus = pairs[int(rng.random() * len(pairs))]
        written = "".join(
            one if one == other else "?" for one, other in zip(plus.text, minus.text, strict=True)
        )  # the texts differ in one sign
        first, second = (self._problem_of(reading, problem.level, written + "=") for reading in (plus, minus))
        return first, second

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the number (with scratch, the one after the last `;`) is right; any text may follow it on its line.

        `steps`, with scratch only: the number of steps that are right at their position, divided by the larger of the two step
        counts (of the response and of the right answer). If a question has several equally likely readings, each of them is
        right.
        """
        right = problem.right_answers
        line = response.strip().partition("\n")[0]
        *steps, final = line.split(";") if self.scratch else [line]
        metrics = {"exact_match": float(any(_same_number(final, answer.rpartition(";")[2]) for answer in right))}
        if self.scratch:
            stripped = [step.strip() for step in steps]
            metrics["steps"] = max(_agreement(stripped, answer.split(";")[:-1]) for answer in right)
        return metrics

    def final_answer(self, problem: Problem, response: str) -> str:
        """The number that `score` compares, without the text after it; if there is no number, the text in its place."""
        line = response.strip().partition("\n")[0]
        final = (line.rpartition(";")[2] if self.scratch else line).strip()
        match = _LEADING.match(final)
        if match is None:
            return final
        decimals = (match[3] or "").rstrip("0")
        return f"{match[1]}{match[2]}{'.' if decimals else ''}{decimals}"


def _roles(text: str) -> tuple[Number, ...]:
    """The roles of the parts of a text: numbers QUANTITY, the rest STRUCTURE."""
    quantities = [Number(*match.span(), Role.QUANTITY) for match in _DIGITS.finditer(text)]
    return (Number(0, len(text), Role.STRUCTURE), *quantities)


def _same_number(response: str, right: str) -> bool:
    """Whether a response begins with the number `right`. Compared as text, so numbers may have any length."""
    match = _LEADING.match(response.strip())
    return match is not None and not match[1] and match[2] == right and not (match[3] or "").strip("0")


def _agreement(steps: Sequence[str], right: Sequence[str]) -> float:
    equal = sum(one == other for one, other in zip(steps, right, strict=False))
    return equal / max(len(steps), len(right))
