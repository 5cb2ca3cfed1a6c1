"""What is wrong with a record, in plain words: which key holds what, and what belongs there."""

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trimtab.boundary import json_type_name, printable, shortened

_MOST = 3
"""Problems that one message lists."""

_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
    "mapping": "an object",
    "none": "null",
    "datetime": "a time",
}
"""What belongs where pydantic reports an error whose type begins with the word before `_`."""

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
"""For an error of a bound: the name of the bound, and its words."""


_BRANCH = re.compile(r"int|float|str|bool|none|(list|tuple|dict)\[.*\]|(constrained|function|nullable)-.*")
"""What pydantic adds to a key for each type that the key may have."""


def problems_of(error: ValidationError) -> str:
    """The first problems of a record, in words: `steps holds "many" where a whole number belongs; seed is missing`."""
    problems: dict[str, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        problems.setdefault(_key(details["loc"]), []).append(details)
    return "; ".join(_problem(key, details) for key, details in list(problems.items())[:_MOST])


def _key(place: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in place]
    while parts and _BRANCH.fullmatch(parts[-1]):
        parts.pop()
    return shortened(printable(".".join(parts)), 100) or "it"


def _problem(key: str, details: list[ErrorDetails]) -> str:
    """One phrase. There are several `details` where the key may have several types and has none of them."""
    first = details[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "missing":
        return f"{key} is missing"
    if kind == "extra_forbidden":
        return f"{key} is not a key of this record"
    if kind in ("value_error", "assertion_error"):
        return f"{key}: {shortened(printable(context['error']), 200)}"
    wanted = " or ".join(dict.fromkeys(_wanted(one["type"], one.get("ctx", {})) for one in details))
    return f"{key} holds {_shown(first['input'])} where {wanted} belongs"


def _wanted(kind: str, context: dict[str, Any]) -> str:
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"a number of {words} {context[bound]}"
    if kind == "literal_error":
        return str(context["expected"])
    return _WANTED.get(kind.partition("_")[0], "something else")


def _shown(value: Any) -> str:
    """A number or a text as JSON writes it, shortened; the kind of any other value."""
    if isinstance(value, str):
        return shortened(f'"{printable(value)}"', 60)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(value)
    if isinstance(value, int):
        # Python refuses to write out integers of thousands of digits.
        return str(value) if abs(value) < 10**20 else "a whole number of more than 20 digits"
    return json_type_name(value)
