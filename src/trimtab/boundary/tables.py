"""Tables of text that other programs saved: error messages for a wrong separator or encoding."""

import re
from collections.abc import Collection, Sequence

from trimtab.boundary.text import printable

_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", ":": "colons", " ": "spaces"}
_NOTE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_START = 1 << 16


def table_fault(content: bytes, separator: str, wanted: Collection[str]) -> str | None:
    """Why the beginning of a file is not a table in UTF-8, and what to do: a clause in which 'it' is the file, and a sentence.

    `separator` is the expected one; `wanted` are columns that the table should have, in any case. None where no problem is
    recognised.
    """
    start = content[:_START]
    if (encoding := _other_encoding(start)) is not None:
        return f"it is in {encoding}, and a table is in UTF-8. Save it as CSV in UTF-8."
    line = next((line for line in start.decode("utf-8-sig", "replace").splitlines() if line.strip()), "")
    if _NOTE.fullmatch(line.strip()):
        return (
            f"its first line, {printable(line.strip())}, is a note for Excel, and a table begins with the names of its columns. "
            f"Take that line out. {_advice(separator)}"
        )
    names = {name.casefold() for name in wanted}
    if names <= _names(line, separator):
        return None
    others = [mark for mark in _WORDS if mark != separator]
    actual = next((mark for mark in others if names <= _names(line, mark)), None)
    is_whole = line.count('"') % 2 == 0  # else a cell in quotes continues in the next line
    if actual is None and separator not in line and is_whole:
        actual = next((mark for mark in others if mark in line.strip()), None)
    return (
        None
        if actual is None
        else f"its columns are separated by {_WORDS[actual]}, but Trimtab expects {_word(separator)}. {_advice(separator)}"
    )


def line_fault(cells: Sequence[str], columns: int, separator: str) -> str:
    """If a line has too few cells, but the right number when split at another separator, a sentence that says so; else ''."""
    line = separator.join(cells)
    for mark, word in _WORDS.items():
        is_common = mark in " :,"  # in text; so it counts only where there is no other sign of a separator
        if mark != separator and len(line.split(mark)) == columns > len(cells) and (len(cells) == 1 or not is_common):
            return f" They are separated by {word}, but Trimtab expects {_word(separator)}."
    return ""


def _advice(separator: str) -> str:
    points = " and points in the numbers (0.5, not 0,5)" if separator == "," else ""
    return f"Save the table with {_word(separator)} between the columns{points}."


def _word(separator: str) -> str:
    return _WORDS.get(separator, f"the character {separator!r}")


def _names(line: str, separator: str) -> set[str]:
    cells = line.split() if separator == " " else line.split(separator)
    return {cell.strip().strip('"').strip().casefold() for cell in cells}


def _other_encoding(start: bytes) -> str | None:
    if (mark := next((mark for mark in _MARKS if start.startswith(mark)), None)) is not None:
        return f"{_MARKS[mark]} (its first bytes are {mark.hex(' ')})"
    few = start[:200]
    if len(few) > 3 and (not any(few[::2]) or not any(few[1::2])):
        return "UTF-16 (every other byte of it is 0)"
    return None
