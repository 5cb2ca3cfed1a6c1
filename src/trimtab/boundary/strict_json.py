"""Strict reading of untrusted JSON: RFC 8259 without the cases on which readers disagree."""

import json
import re
from functools import cache
from typing import Any, NoReturn, TypeVar

from trimtab.boundary.text import printable, shortened

Number = TypeVar("Number", bound=float)


class StrictJsonError(ValueError):
    """Content that is not JSON, or JSON that two readers would read differently.

    The message is a clause in which 'it' is the content.
    """


class WrittenFloat(float):
    """A number of a JSON text with its spelling, `1.10` or `1e2` say, which a float alone does not keep."""

    written: str

    def __new__(cls, written: str) -> "WrittenFloat":
        """The number that `written` spells."""
        number = super().__new__(cls, written)
        number.written = written
        return number


def strict_json(
    content: bytes | str, *, one_line: bool = False, as_written: bool = False, infinite: bool = False
) -> Any:
    """The value of a JSON text; bytes are UTF-8, with or without a byte order mark.

    Besides invalid JSON, these are refused: one key twice in an object (most readers keep the last), NaN and infinities, numbers
    beyond the range of a float or so small that a float would be 0, whole numbers of more than 4,300 digits, and nesting that
    exceeds Python's stack. A message names the place by line and column, with `one_line` by the column alone. With `as_written`
    every number that is not a plain whole number is a `WrittenFloat`; with `infinite` the words Infinity and -Infinity are
    numbers.

    Raises StrictJsonError.
    """
    try:
        return decoder(as_written=as_written, infinite=infinite).decode(_text(content, one_line=one_line))
    except json.JSONDecodeError as error:
        raise StrictJsonError(_invalid(error, one_line=one_line)) from error
    except RecursionError as error:
        raise StrictJsonError("it is nested too deeply") from error
    except StrictJsonError:
        raise
    except ValueError as error:
        raise StrictJsonError("a number in it is too large") from error


def _text(content: bytes | str, *, one_line: bool) -> str:
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = "" if one_line else f", in line {content.count(10, 0, error.start) + 1}"
        byte = error.object[error.start]
        raise StrictJsonError(f"byte {error.start} of it (0x{byte:02x}{line}) is not UTF-8 ({error.reason})") from error


def _invalid(error: json.JSONDecodeError, *, one_line: bool) -> str:
    line = "" if one_line else f"line {error.lineno}, "
    return f"it is not valid JSON ({error.msg}, {line}column {error.colno})"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise StrictJsonError(
                    f"an object in it has the key {_shown(key)} twice, with {_shown(seen[key])} and with {_shown(value)}"
                )
            seen[key] = value
    return content


def _shown(value: Any) -> str:
    return shortened(
        printable(repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"), 60
    )


def _constant(name: str) -> NoReturn:
    raise StrictJsonError(f"it is not valid JSON ({name} is not a number)")


def _constant_or_infinity(name: str) -> float:
    return float(name) if name.endswith("Infinity") else _constant(name)


def _float(digits: str) -> float:
    return _in_range(float(digits), digits)


def _written_float(digits: str) -> WrittenFloat:
    return _in_range(WrittenFloat(digits), digits)


def _written_int(digits: str) -> int | WrittenFloat:
    return WrittenFloat(digits) if digits == "-0" else int(digits)


def _in_range(number: Number, digits: str) -> Number:
    if number in (float("inf"), float("-inf")):
        raise StrictJsonError(f"the number {shortened(digits, 40)} in it is too large")
    if not number and re.search("[1-9]", re.split("[eE]", digits)[0]):
        raise StrictJsonError(f"the number {shortened(digits, 40)} in it is too small")
    return number


@cache
def decoder(*, as_written: bool, infinite: bool = False) -> json.JSONDecoder:
    """A decoder by the rules of `strict_json`, for callers that parse a part of a text."""
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_constant=_constant_or_infinity if infinite else _constant,
        parse_float=_written_float if as_written else _float,
        parse_int=_written_int if as_written else int,
    )


def json_type_name(value: Any) -> str:
    """What a value of JSON is, in words: `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
