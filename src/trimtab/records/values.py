"""Python values as the records hold them: strict JSON, with the three non-finite floats as strings.

A text value may also be the string "nan"; the record's schema says whether a key holds a number or text (`rows`, `manifest`).
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.boundary import strict_json

NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
"""JSON strings for the non-finite floats, and their values."""

DEEPEST = 100
"""How many lists and objects may be nested in a record."""

LONGEST_INTEGER = 60
"""Digits of the longest integer in a record; the state of a random stream has 39."""


_LONG_INTEGER = re.compile(rb"\d{%d}" % (LONGEST_INTEGER + 1))


def parse_json(data: bytes) -> Any:
    """The value of a record's JSON, read by `strict_json`.

    Raises `ValueError` for anything that no record of ours holds: what `strict_json` refuses, nesting deeper than `DEEPEST`,
    integers longer than `LONGEST_INTEGER`. The message is a clause in which 'it' is the JSON.
    """
    value = strict_json(data)
    if data.count(b"[") + data.count(b"{") > DEEPEST or _LONG_INTEGER.search(data):
        _check_bounds(value)
    return value


def _check_bounds(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(isinstance(one, int) and abs(one) >= 10**LONGEST_INTEGER for one in level):
            raise ValueError(f"it has an integer of more than {LONGEST_INTEGER} digits")
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def to_json(value: Any) -> Any:
    """`value` as plain JSON types.

    Non-finite floats become "nan", "inf", "-inf" at any depth; numpy and torch scalars become Python numbers (a float32
    becomes the double of the same value); tuples become lists, paths strings. Raises TypeError for anything else, arrays
    and non-string keys included: a record that cannot be read back is a programming error.
    """
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"a record's keys are strings, not {bad[0]!r}")
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return to_json(value.item())
    raise TypeError(f"a record cannot hold a {type(value).__name__}: {value!r:.80}")


def numbers_in(value: Any) -> Any:
    """A record's figures with the strings "nan", "inf" and "-inf" as floats again, at any depth.

    For values that the schema of the record says are numbers, or lists and objects of numbers.
    """
    if isinstance(value, str):
        return NON_FINITE.get(value, value)
    if isinstance(value, dict):
        return {key: numbers_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_in(item) for item in value]
    return value


def flatten(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings as `(dotted key, value)`, in order; an empty mapping is a leaf, so nothing is lost."""
    for key, value in row.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def same(a: Any, b: Any) -> bool:
    """Exact equality in which a nan equals a nan and True is not 1; 1 equals 1.0."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def is_number(value: Any) -> bool:
    """Whether a value read back from a record is a number (a bool is not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
