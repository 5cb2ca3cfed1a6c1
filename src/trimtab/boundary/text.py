"""Text from data made safe for a terminal, a spreadsheet and an error message."""

import unicodedata
from collections.abc import Iterable
from typing import TypeGuard

_KEPT = "\n\t"
_HIDDEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Zl",
    "Zp",
}  # control, invisible format (bidi overrides), surrogates, line separators
_JOINERS = "\u200c\u200d"  # part of ordinary words and emoji
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(text: object, *, lines: bool = False) -> str:
    """`text` with every control, invisible and undecodable character written as an escape such as `\\x1b`.

    With `lines`, line ends and tabs stay as they are.
    """
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(char if (lines and char in _KEPT) or not _is_hidden(char) else _escape(char) for char in plain)


def is_unicode(value: object) -> TypeGuard[str]:
    """Whether `value` is a string that UTF-8 can encode: without lone surrogates, which JSON escapes can produce."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def shortened(text: str, limit: int) -> str:
    """`text` cut to `limit` characters: the middle is replaced by the number of characters omitted."""
    if len(text) <= limit:
        return text
    mark = f" … ({len(text) - limit:,} characters more) … "
    room = max(limit - len(mark), 2)
    return text[: room - room // 3] + mark + text[len(text) - room // 3 :]


def listed(names: Iterable[object], most: int = 12) -> str:
    """Names for an error message: `a, b, c`, each printable and short; beyond `most` of them, how many more there are."""
    shown = [shortened(printable(name), 60) for name in names]
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def csv_cell(value: object) -> object:
    """A cell that a spreadsheet does not execute as a formula: an apostrophe is put before text that begins with = + - @ or a
    control character (CSV injection).

    Numbers stay as they are.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN and char not in _JOINERS


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(number: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
