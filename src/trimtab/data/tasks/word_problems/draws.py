"""Draws of the numbers in word problems; every step has a positive whole result.

Each function but `whole` and `pair` draws the numbers of a story (see `stories.py`) as `{field: number}`. `pair` makes such a
function for two independent numbers.
"""

from collections.abc import Callable
from random import Random
from typing import Any


def whole(rng: Random, low: int, high: int) -> int:
    """Draws a whole number between `low` and `high`, inclusive."""
    return low + int(rng.random() * (high - low + 1))


def pair(low: int, high: int, second_low: int, second_high: int) -> Callable[[Random], dict[str, Any]]:
    """Returns a function that draws `a` and `b` independently from their ranges."""
    return lambda rng: {"a": whole(rng, low, high), "b": whole(rng, second_low, second_high)}


def larger_first(rng: Random) -> dict[str, Any]:
    """`a` and a smaller `b`."""
    a = whole(rng, 12, 99)
    return {"a": a, "b": whole(rng, 3, a - 2)}


def shared(rng: Random) -> dict[str, Any]:
    """`a` is a multiple of `b`."""
    b = whole(rng, 2, 12)
    return {"a": b * whole(rng, 2, 25), "b": b}


def trays(rng: Random) -> dict[str, Any]:
    """`c` is less than `a` times `b`."""
    a, b = whole(rng, 3, 12), whole(rng, 4, 15)
    return {"a": a, "b": b, "c": whole(rng, 2, a * b - 2)}


def change(rng: Random) -> dict[str, Any]:
    """`c` is more than `a` times `b`."""
    a, b = whole(rng, 2, 9), whole(rng, 2, 11)
    return {"a": a, "b": b, "c": a * b + whole(rng, 1, 40)}


def pooled(rng: Random) -> dict[str, Any]:
    """`a` + `b` is a multiple of `k`."""
    k, each = whole(rng, 3, 8), whole(rng, 6, 20)
    a = whole(rng, 2, k * each - 2)
    return {"a": a, "b": k * each - a, "k": k}


def bakery(rng: Random) -> dict[str, Any]:
    """`a` times `b` minus `c` is a multiple of `k`."""
    k, bags, a = whole(rng, 2, 6), whole(rng, 3, 12), whole(rng, 4, 9)
    b = k * bags // a + whole(rng, 1, 6)
    return {"a": a, "b": b, "c": a * b - k * bags, "k": k}


def shop(rng: Random) -> dict[str, Any]:
    """Two counts, `a` and `c`, with their prices."""
    return {"a": whole(rng, 2, 9), "b": whole(rng, 2, 12), "c": whole(rng, 2, 9), "d": whole(rng, 2, 12)}


def windows(rng: Random) -> dict[str, Any]:
    """`d` is less than `a` times `b` times `c`."""
    a, b, c = whole(rng, 2, 6), whole(rng, 3, 9), whole(rng, 2, 4)
    return {"a": a, "b": b, "c": c, "d": whole(rng, 2, a * b * c - 2)}


def savings(rng: Random) -> dict[str, Any]:
    """`d` is less than `a` + `b` times `c`."""
    a, b, c = whole(rng, 10, 80), whole(rng, 4, 20), whole(rng, 3, 9)
    return {"a": a, "b": b, "c": c, "d": whole(rng, 5, a + b * c - 2)}


def school(rng: Random) -> dict[str, Any]:
    """`p` per cent of `a` is whole, and the rest is even."""
    while True:
        a, p = 20 * whole(rng, 5, 40), 5 * whole(rng, 2, 16)
        if (a - a * p // 100) % 2 == 0:
            return {"a": a, "p": p}


def coats(rng: Random) -> dict[str, Any]:
    """`p` per cent of `a` is whole; `c` is more than `b` times the rest."""
    a, p, b = 20 * whole(rng, 1, 8), 5 * whole(rng, 1, 12), whole(rng, 2, 6)
    return {"a": a, "p": p, "b": b, "c": b * (a - a * p // 100) + whole(rng, 1, 60)}


def tank(rng: Random) -> dict[str, Any]:
    """`p` per cent of `a` is whole; `b` times `c` is less than the rest."""
    a, p = 20 * whole(rng, 10, 60), 5 * whole(rng, 2, 10)
    b = whole(rng, 2, 9)
    return {"a": a, "p": p, "b": b, "c": whole(rng, 3, min(40, (a - a * p // 100) // b - 1))}


def harvest(rng: Random) -> dict[str, Any]:
    """`a` + `b` + `c` is a multiple of 3."""
    a, b, thirds = whole(rng, 4, 30), whole(rng, 4, 30), whole(rng, 25, 40)
    return {"a": a, "b": b, "c": 3 * thirds - a - b, "d": whole(rng, 2, 6)}


def stops(rng: Random) -> dict[str, Any]:
    """A quarter of `a` is whole, and the rest plus `b` is even."""
    a = 4 * whole(rng, 3, 15)
    b = whole(rng, 2, 15)
    return {"a": a, "b": b + (a - a // 4 + b) % 2}


def wages(rng: Random) -> dict[str, Any]:
    """`p` per cent of `a` times `b` times `c` is whole."""
    a, b, c = whole(rng, 4, 8), 5 * whole(rng, 2, 6), 4 * whole(rng, 2, 6)
    p = 5 * whole(rng, 2, 8)
    return {"a": a, "b": b, "c": c, "p": p}
