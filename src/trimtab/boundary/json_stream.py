"""Reading the items of a long JSON list one by one, so that memory holds one item and not the file."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from trimtab.boundary.strict_json import StrictJsonError, decoder, json_type_name

LONGEST_VALUE = 1 << 28
"""Characters that one item, or one other value of the file, may have before more of it is read."""

_CHUNK = 1 << 20
_CUT = 16
"""An error or a number this close to the end of the characters read may be incomplete; more is read first."""


def json_items(file: BinaryIO, under: str | None, *, as_written: bool = False) -> Iterator[Any]:
    """The items of the list that a JSON file (UTF-8) has under the key `under`, or that the file is (None).

    The rules and `as_written` are those of `strict_json`, and they hold for the whole file: an error may come after items.
    Memory holds one item, less than twice `LONGEST_VALUE` characters of text.

    Raises StrictJsonError, also for a file that has no such list.
    """
    text = _Text(file, as_written)
    keys: dict[str, None] = {}
    yield from _items(text, "it") if under is None else _items_under(text, under, keys)
    if text.peek():
        raise text.invalid("Extra data", text.at)
    if under is not None and under not in keys:
        shown = ", ".join(repr(key) for key in list(keys)[:8]) or "nothing"
        raise StrictJsonError(f"it has no {under!r}; it has {shown}")


def _items(text: "_Text", name: str) -> Iterator[Any]:
    if text.peek() != "[":
        raise StrictJsonError(f"{name} is {json_type_name(text.value())} where a list is needed")
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        if text.take(",", "]") == "]":
            return


def _items_under(text: "_Text", under: str, seen: dict[str, None]) -> Iterator[Any]:
    """The items of the list under a key of an object; the object's keys are added to `seen`."""
    if text.peek() != "{":
        raise StrictJsonError(f"it is {json_type_name(text.value())} where an object with {under!r} is needed")
    text.take("{")
    while text.peek() != "}" or seen:
        if text.peek() != '"':
            raise text.invalid("Expecting property name enclosed in double quotes", text.at)
        key = text.value()
        if key in seen:
            raise StrictJsonError(f"an object in it has the key {key!r} twice")
        seen[key] = None
        text.take(":")
        if key == under:
            yield from _items(text, repr(under))
        else:
            text.value()
        if text.peek() == "}":
            break
        text.take(",")
    text.take("}")


class _Text:
    """The text of a file from the place `at` on, read as far as it is needed."""

    def __init__(self, file: BinaryIO, as_written: bool) -> None:
        self.at = 0
        self._json = decoder(as_written=as_written)
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._bytes = self._lines = self._column = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not white space, without taking it; empty at the end of the file."""
        while True:
            while self.at < len(self._text):
                if self._text[self.at] not in " \t\r\n":
                    return self._text[self.at]
                self.at += 1
            if self._ended:
                return ""
            self._read_on()

    def take(self, *wanted: str) -> str:
        """Take the next character, which must be one of `wanted`."""
        character = self.peek()
        if character not in wanted:
            raise self.invalid(f"Expecting {' or '.join(map(repr, wanted))}", self.at)
        self.at += 1
        return character

    def value(self) -> Any:
        """Take the next value."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _CUT
                if self._ended or not cut:
                    raise self.invalid(error.msg, error.pos) from error
            except RecursionError as error:
                raise StrictJsonError("it is nested too deeply") from error
            except StrictJsonError:
                raise
            except ValueError as error:
                raise StrictJsonError("a number in it is too large") from error
            else:
                if end < len(self._text) - _CUT or self._ended:
                    self.at = end
                    return value
            self._read_on()

    def invalid(self, reason: str, place: int) -> StrictJsonError:
        """The error of text that is no JSON, with the line and column of `place`."""
        before = self._text[:place]
        line = self._lines + before.count("\n") + 1
        column = len(before) - before.rfind("\n") if "\n" in before else self._column + len(before) + 1
        return StrictJsonError(f"it is not valid JSON ({reason}, line {line}, column {column})")

    def _read_on(self) -> None:
        """Drop what was taken and read as much again as is left, so that a long value is parsed few times."""
        taken, self._text = self._text[: self.at], self._text[self.at :]
        self._lines += taken.count("\n")
        self._column = len(taken) - taken.rfind("\n") - 1 if "\n" in taken else self._column + len(taken)
        self.at = 0
        if len(self._text) > LONGEST_VALUE:
            raise StrictJsonError(f"a value in it is longer than {LONGEST_VALUE >> 20} million characters")
        chunk = self._file.read(max(_CHUNK, len(self._text)))
        self._ended = not chunk
        try:
            self._text += self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            line = self._lines + self._text.count("\n") + error.object.count(b"\n", 0, error.start) + 1
            place = self._bytes + len(chunk) - len(error.object) + error.start
            raise StrictJsonError(
                f"byte {place} of it (0x{error.object[error.start]:02x}, in line {line}) is not UTF-8 ({error.reason})"
            ) from error
        self._bytes += len(chunk)
