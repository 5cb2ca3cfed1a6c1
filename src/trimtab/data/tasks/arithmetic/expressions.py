"""Expressions of whole numbers: drawing them, working them out step by step, reading them back."""

import math
import random
import re
from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

Operation = Literal["sum", "difference", "product", "chain"]

PRODUCT_DIGITS = {1: (1, 2), 2: (1, 3), 3: (2, 2), 4: (2, 3), 5: (3, 3)}
"""Digits of a product's two numbers, by level."""

CHAIN_TERMS = {1: (3, 1, 0, 1), 2: (3, 2, 0, 1), 3: (4, 2, 0, 1), 4: (3, 2, 1, 1), 5: (4, 2, 2, 2)}
"""A chain's terms, the digits of a plain one, how many are products, and the digits of a product's second number."""

_NUMBER = re.compile(r"[0-9]+")


class Expression(NamedTuple):
    """Whole numbers (none negative) with the operators between them, `+`, `-` and `*`."""

    numbers: tuple[int, ...]
    operators: str

    @property
    def text(self) -> str:
        """As it is written: `37+48`."""
        found = str(self.numbers[0])
        for operator, number in zip(self.operators, self.numbers[1:], strict=True):
            found += operator + str(number)
        return found


def parsed(text: str) -> Expression:
    """The expression that a text such as `37+48` spells."""
    return Expression(tuple(map(int, _NUMBER.findall(text))), _NUMBER.sub("", text))


def drawn(operation: Operation, level: int, carries: int | None, rng: random.Random) -> Expression:
    """An expression of a level (see `Arithmetic`) with no negative value on the way; `carries` is for sums and differences."""
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


def value(expression: Expression) -> int:
    """What an expression comes to."""
    numbers, operators = expression
    terms = [numbers[0]]
    for operator, number in zip(operators, numbers[1:], strict=True):
        if operator == "*":
            terms[-1] *= number
        else:
            terms.append(number if operator == "+" else -number)
    return sum(terms)


def ordered_terms(expression: Expression) -> list[tuple[int, ...]]:
    """The terms without their signs, each with its factors, the largest first: the same for every order of the same numbers."""
    terms = [[expression.numbers[0]]]
    for operator, number in zip(expression.operators, expression.numbers[1:], strict=True):
        if operator == "*":
            terms[-1].append(number)
        else:
            terms.append([number])
    return sorted((tuple(sorted(factors, reverse=True)) for factors in terms), reverse=True)


def worked(expression: Expression) -> list[str]:
    """The steps of an expression, each an equation.

    A sum or difference of two numbers goes column by column, units first: a carried 1 is added (`7+8=15`, `3+4+1=8`), a borrowed
    one makes a column's first digit ten more and is taken off the next (`12-5=7`, `3-1-1=1`). A product of two is the first
    number times each digit of the second by its place, units first and zeros left out, added up as they come (`37*4=148`,
    `37*20=740`, `148+740=888`). A chain does its products, then goes from left to right in whole numbers.
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


def never_negative(expression: Expression) -> bool:
    """Whether no sum is negative on the way from left to right."""
    if len(expression.numbers) == 2:
        return value(expression) >= 0
    return not any("=-" in step for step in worked(expression))


def _number(digits: int, rng: random.Random) -> int:
    """A number of so many digits; of one digit from 2 on, as times 1 and plus 1 are hardly questions."""
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
    """Two numbers whose sum (or difference) has exactly so many carries (borrows): which columns have one is drawn
    uniformly, then the digits of each column uniformly among those that do as the column should."""
    columns = digits if operator == "+" else digits - 1
    carrying = frozenset(rng.sample(range(columns), carries))
    first = second = carried = 0
    for column in range(digits):
        pairs = _columns(operator, carried, column in carrying, column == digits - 1)
        one, other = pairs[int(rng.random() * len(pairs))]
        first, second = first + one * 10**column, second + other * 10**column
        carried = int(column in carrying)
    return first, second


@cache
def _columns(operator: str, carried: int, carries: bool, leading: bool) -> list[tuple[int, int]]:
    """The pairs of digits of a column that does (or does not) carry or borrow, after a column that did so or not."""
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
