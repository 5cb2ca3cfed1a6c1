"""Compares a text with a JSON value: whether it is valid, whether it is equal, and how many fields agree."""

from typing import Any

from trimtab.boundary import StrictJsonError, strict_json
from trimtab.data.tasks.spec.schema import validator

METRICS = (
    "exact_match",
    "json_equal",
    "valid_json",
    "schema_valid",
    "field_precision",
    "field_recall",
    "field_f1",
)

DEPTH = 64
"""The deepest nesting of objects and arrays that is read; a text with deeper nesting does not count as JSON."""

_SPACE = " \t\r\n"

Leaf = tuple[tuple[str | int, ...], str, str | float | bool | None]
"""A path, the type of its value, and the value."""


def compare(response: str, truth: str) -> dict[str, float]:
    """Returns the metrics of a response, each in [0, 1]; `truth` is JSON. Accepts any response, in linear time.

    `exact_match`: the texts are equal except for white space around them. `valid_json`: the response is JSON (RFC 8259), without
    duplicate names in an object, numbers outside the range of floats, integers with more than 4,300 digits, or nesting deeper
    than `DEPTH`. `json_equal`: the values are equal, in any order and spacing; 1.0 equals 1. `schema_valid`: the response is
    valid under the schema. Fields are the leaves of the value: paths with their values, array items by position.
    `field_precision` is the share of the response's fields that are right, `field_recall` the share of the right fields that the
    response has, and `field_f1` their harmonic mean. All are 0 if the response is not JSON.
    """
    metrics = dict.fromkeys(METRICS, 0.0)
    text = response.strip(_SPACE)
    metrics["exact_match"] = float(text == truth)
    try:
        value, fields = _read(text)
    except StrictJsonError:
        return metrics
    _, true_fields = _read(truth)
    right = len(fields & true_fields)
    metrics["valid_json"] = 1.0
    metrics["json_equal"] = float(fields == true_fields)
    metrics["schema_valid"] = float(validator().is_valid(value))
    metrics["field_precision"] = right / len(fields)
    metrics["field_recall"] = right / len(true_fields)
    metrics["field_f1"] = 2 * right / (len(fields) + len(true_fields))
    return metrics


def _read(text: str) -> tuple[Any, set[Leaf]]:
    """A JSON value and its leaves. Raises `StrictJsonError`."""
    value = strict_json(text)
    return value, _leaves(value)


def _leaves(value: Any) -> set[Leaf]:
    """The leaves of a value; an empty object or array is a leaf. Raises `StrictJsonError` if it is nested too deeply."""
    leaves: set[Leaf] = set()
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        path, inside = pending.pop()
        if isinstance(inside, (dict, list)) and inside:
            if len(path) == DEPTH:
                raise StrictJsonError(f"it is nested more than {DEPTH} levels deep")
            parts = inside.items() if isinstance(inside, dict) else enumerate(inside)
            pending += [((*path, name), part) for name, part in parts]
        elif isinstance(inside, bool):
            leaves.add((path, "boolean", inside))
        elif isinstance(inside, (int, float)):
            leaves.add((path, "number", inside))
        elif isinstance(inside, (dict, list)):
            leaves.add((path, "empty", "{}" if isinstance(inside, dict) else "[]"))
        else:
            leaves.add((path, "string" if isinstance(inside, str) else "null", inside))
    return leaves
