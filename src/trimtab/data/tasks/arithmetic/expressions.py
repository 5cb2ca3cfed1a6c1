"""Expressions of whole numbers: drawn at random, evaluated, worked step by step, and parsed from text."""

import math
import random
import re
from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

Operation = Literal["sum", "difference", "product", "chain"]

PRODUCT_DIGITS = {1: (1, 2), 2: (1, 3), 3: (2, 2), 4: (2, 3), 5: (3, 3)}
"""The digits of the two numbers of a product, by level."""

CHAIN_TERMS = {1: (3, 1, 0, 1), 2: (3, 2, 0, 1), 3: (4, 2, 0, 1), 4: (3, 2, 1, 1), 5: (4, 2, 2, 2)}
"""By level: the terms of a chain, the digits of a plain term, the number of products among the terms, and the digits of the
second number of such a product."""

_NUMBER = re.compile(r"[0-9]+")


class Expression(NamedTuple):
    """Non-negative whole numbers and the operators between them: `+`, `-` and `*`."""

    numbers: tuple[int, ...]
    operators: str

    @property
    def text(self) -> str:
        """The expression as text, for example `37+48`."""
        text = str(self.numbers[0])
        for operator, number in zip(self.operators, self.numbers[1:], strict=True):
            text += operator + str(number)
        return text


def parse(text: str) -> Expression:
    """Returns the expression that a text such as `37+48` spells."""
    return Expression(tuple(map(int, _NUMBER.findall(text))), _NUMBER.sub("", text))


def draw_expression(operation: Operation, level: int, carries: int | None, rng: random.Random) -> Expression:
    """Draws an expression of a level (see `Arithmetic`) without negative intermediate values.

    `carries` is the exact number of carries (borrows) of a sum or difference; None leaves it to chance.
    """
    if operation == "product":
        first, second = PRODUCT_DIGITS[level]
        return Expression((_number(first, rng), _number(second, rng)), "*")
    if operation == "chain":
        return _chain(level, rng)
    operator = "+" if operation == "sum" else "-"
    if carries is not None:
        return Expression(_with_carries(operator, level + 1, carries, rng), operator)
    first, second = _number(level + 1, rng), _number(level + 1, rng)
    if operator == "-" and first < second:
        first, second = second, first
    return Expression((first, second), operator)


def evaluate(expression: Expression) -> int:
    """Returns the value of an expression."""
    numbers, operators = expression
    terms = [numbers[0]]
    for operator, number in zip(operators, numbers[1:], strict=True):
        if operator == "*":
            terms[-1] *= number
        else:
            terms.append(number if operator == "+" else -number)
    return sum(terms)


def ordered_terms(expression: Expression) -> list[tuple[int, ...]]:
    """Returns the factors of each term, without signs, in descending order: equal for all orders of the same terms."""
    terms = [[expression.numbers[0]]]
    for operator, number in zip(expression.operators, expression.numbers[1:], strict=True):
        if operator == "*":
            terms[-1].append(number)
        else:
            terms.append([number])
    return sorted((tuple(sorted(factors, reverse=True)) for factors in terms), reverse=True)


def working(expression: Expression) -> list[str]:
    """Returns the steps that lead to the value of an expression, each an equation.

    A sum or difference of two numbers proceeds by columns, units first. A carried 1 is added (`7+8=15`, `3+4+1=8`); a borrowed
    1 adds ten to the first digit of its column and is subtracted in the next one (`12-5=7`, `3-1-1=1`). A product of two numbers
    multiplies the first number by each digit of the second at its place, units first and zeros skipped, and adds the partial
    products as they come (`37*4=148`, `37*20=740`, `148+740=888`). A chain computes its products first, then proceeds from left
    to right with whole numbers.
    """
    numbers, operators = expression
    if len(numbers) == 2:
        step = _product if operators == "*" else _sum if operators == "+" else _difference
        return step(*numbers)
    steps = []
    terms = [numbers[0]]
    for operator, number in zip(operators, numbers[1:], strict=True):
        if operator == "*":
            steps.append(f"{terms[-1]}*{number}={terms[-1] * number}")
            terms[-1] *= number
        else:
            terms.append(number)
    total = terms[0]
    for operator, term in zip(operators.replace("*", ""), terms[1:], strict=True):
        result = total + term if operator == "+" else total - term
        steps.append(f"{total}{operator}{term}={result}")
        total = result
    return steps


def is_never_negative(expression: Expression) -> bool:
    """Returns whether no intermediate sum, from left to right, is negative."""
    if len(expression.numbers) == 2:
        return evaluate(expression) >= 0
    return not any("=-" in step for step in working(expression))


def _number(digits: int, rng: random.Random) -> int:
    """Draws a number with `digits` digits. One-digit numbers start at 2, because times 1 and plus 1 are trivial."""
    low = 2 if digits == 1 else 10 ** (digits - 1)
    return low + int(rng.random() * (10**digits - low))


def _chain(level: int, rng: random.Random) -> Expression:
    terms, digits, products, second_digits = CHAIN_TERMS[level]
    multiplied = frozenset(rng.sample(range(terms), products)) if products else ()
    numbers: list[int] = []
    operators = ""
    total = 0
    for term in range(terms):
        sizes = (1, second_digits) if term in multiplied else (digits,)
        factors = [_number(size, rng) for size in sizes]
        amount = math.prod(factors)
        if term:
            minus = rng.random() < 0.5 and total >= amount
            operators += "-" if minus else "+"
            total += -amount if minus else amount
        else:
            total = amount
        operators += "*" * (len(factors) - 1)
        numbers += factors
    return Expression(tuple(numbers), operators)


def _with_carries(operator: str, digits: int, carries: int, rng: random.Random) -> tuple[int, int]:
    """Draws two numbers whose sum (or difference) has exactly `carries` carries (borrows).

    The columns with a carry are drawn uniformly; the digits of each column are then drawn uniformly from the pairs that carry,
    or do not carry, as required.
    """
    columns = digits if operator == "+" else digits - 1
    carrying = frozenset(rng.sample(range(columns), carries))
    first = second = carried = 0
    for column in range(digits):
        pairs = _digit_pairs(operator, carried, column in carrying, column == digits - 1)
        one, other = pairs[int(rng.random() * len(pairs))]
        first, second = first + one * 10**column, second + other * 10**column
        carried = int(column in carrying)
    return first, second


@cache
def _digit_pairs(operator: str, carried: int, carries: bool, leading: bool) -> list[tuple[int, int]]:
    """The pairs of digits of a column that carries or borrows, or does not, given the carry from the column before it."""
    digits = range(int(leading), 10)
    over: Callable[[int, int], bool] = (
        (lambda one, other: one + other + carried > 9)
        if operator == "+"
        else (lambda one, other: one - other - carried < 0)
    )
    return [(one, other) for one in digits for other in digits if over(one, other) == carries]


def _sum(first: int, second: int) -> list[str]:
    steps = []
    carried = 0
    for one, other in _column_digits(first, second):
        total = one + other + carried
        steps.append(f"{one}+{other}+1={total}" if carried else f"{one}+{other}={total}")
        carried = total // 10
    return steps


def _difference(first: int, second: int) -> list[str]:
    steps = []
    borrowed = 0
    for one, other in _column_digits(first, second):
        short = one - other - borrowed < 0
        top = one + 10 if short else one
        rest = top - other - borrowed
        steps.append(f"{top}-{other}-1={rest}" if borrowed else f"{top}-{other}={rest}")
        borrowed = int(short)
    return steps


def _product(first: int, second: int) -> list[str]:
    steps = []
    total = None
    for place, digit in enumerate(reversed(str(second))):
        if digit == "0":
            continue
        factor = int(digit) * 10**place
        partial = first * factor
        steps.append(f"{first}*{factor}={partial}")
        if total is not None:
            steps.append(f"{total}+{partial}={total + partial}")
        total = partial + (total or 0)
    return steps


def _column_digits(first: int, second: int) -> list[tuple[int, int]]:
    one, other = str(first), str(second)
    width = max(len(one), len(other))
    return [(int(a), int(b)) for a, b in zip(one.zfill(width)[::-1], other.zfill(width)[::-1], strict=True)]
