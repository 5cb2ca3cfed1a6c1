"""How near a text comes to a JSON value: valid at all, equal, and field by field."""

from typing import Any

from trimtab.boundary import StrictJsonError, strict_json
from trimtab.data.tasks.spec.schema import validator

FIGURES = (
    "exact_match",
    "json_equal",
    "valid_json",
    "schema_valid",
    "field_precision",
    "field_recall",
    "field_f1",
)

DEPTH = 64
"""How deep objects and arrays may be nested; what goes deeper is not read, and counts as no JSON."""

_SPACE = " \t\r\n"

Leaf = tuple[tuple[str | int, ...], str, str | float | bool | None]
"""A path, the kind of its value and the value."""


def compare(response: str, truth: str) -> dict[str, float]:
    """The figures of a response, each in [0, 1]; `truth` is JSON. Takes any response, in linear time.

    `exact_match`: the same text but for white space around it. `valid_json`: all of it is JSON (RFC 8259; a name twice in one
    object, numbers that no float holds, integers over 4,300 digits and nesting deeper than `DEPTH` are not). `json_equal`: the
    same value, in whatever order and spacing; 1.0 equals 1. `schema_valid`: valid under the schema. The fields are the leaves,
    paths with their values, an array's by position: precision is the share of the response's that are right, recall the share
    of the right ones that it has, and `field_f1` their harmonic mean. All are 0 for what is no JSON.
    """
    figures = dict.fromkeys(FIGURES, 0.0)
    text = response.strip(_SPACE)
    figures["exact_match"] = float(text == truth)
    try:
        value, found = _read(text)
    except StrictJsonError:
        return figures
    _, wanted = _read(truth)
    right = len(found & wanted)
    figures["valid_json"] = 1.0
    figures["json_equal"] = float(found == wanted)
    figures["schema_valid"] = float(validator().is_valid(value))
    figures["field_precision"] = right / len(found)
    figures["field_recall"] = right / len(wanted)
    figures["field_f1"] = 2 * right / (len(found) + len(wanted))
    return figures


def _read(text: str) -> tuple[Any, set[Leaf]]:
    """A JSON value and its leaves. Raises `StrictJsonError`."""
    value = strict_json(text)
    return value, _leaves(value)


def _leaves(value: Any) -> set[Leaf]:
    """The leaves of a value; an empty object or array is one. Raises `StrictJsonError` where it is nested too deep."""
    found: set[Leaf] = set()
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        path, inside = waiting.pop()
        if isinstance(inside, (dict, list)) and inside:
            if len(path) == DEPTH:
                raise StrictJsonError(f"it is nested deeper than {DEPTH}")
            parts = inside.items() if isinstance(inside, dict) else enumerate(inside)
            waiting += [((*path, name), part) for name, part in parts]
        elif isinstance(inside, bool):
            found.add((path, "boolean", inside))
        elif isinstance(inside, (int, float)):
            found.add((path, "number", inside))
        elif isinstance(inside, (dict, list)):
            found.add((path, "empty", "{}" if isinstance(inside, dict) else "[]"))
        else:
            found.add((path, "string" if isinstance(inside, str) else "null", inside))
    return found
