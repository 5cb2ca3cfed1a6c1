"""Texts assembled from pieces, with the position and role of each number."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from trimtab.data.problem import Number, Role

NAMES = (
    *("Ada", "Amir", "Ben", "Carla", "Chen", "Dina", "Emil", "Fatma", "Femi", "Greta", "Hana", "Hugo", "Ines", "Jonas"),
    *("Kira", "Leo", "Lina", "Mara", "Nils", "Noor", "Omar", "Petra", "Ravi", "Rosa", "Sami", "Sofia", "Tariq", "Tove"),
    *("Yuki", "Zoe"),
)
"""First names of the people in stories and puzzles."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_ROLES = {"": None, "q": Role.QUANTITY, "c": Role.CATEGORY, "i": Role.INDEX, "o": Role.INDEX}


class Writer:
    """Collects the pieces of a text; `numbers` are the spans that were written with a role."""

    __slots__ = ("length", "numbers", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.numbers: list[Number] = []

    def add(self, text: str, role: Role | None = None) -> None:
        """Appends a piece. With a role, its span is added to `numbers`."""
        start = self.length
        self.parts.append(text)
        self.length = end = start + len(text)
        if role is not None:
            self.numbers.append(Number(start, end, role))

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.parts)


class Slot(NamedTuple):
    """A field of a pattern: the text before it, its name, its role (None for a word) and whether it is an ordinal."""

    before: str
    name: str
    role: Role | None
    ordinal: bool


class Pattern(NamedTuple):
    """A sentence with fields: the slots in order, and the text after the last one."""

    slots: tuple[Slot, ...]
    after: str

    def write(self, writer: Writer, values: Mapping[str, int | str]) -> None:
        """Writes the sentence. A field whose name is a number has that number as its value."""
        parts, length = writer.parts, writer.length
        for before, name, role, ordinal in self.slots:
            value = name if name.isdigit() else str(values[name])
            start = length + len(before)
            length = start + len(value)
            parts += (before, value)
            if role is not None:
                writer.numbers.append(Number(start, length, role))
                if ordinal:
                    parts.append(ordinal_ending(int(value)))
                    length += 2
        parts.append(self.after)
        writer.length = length + len(self.after)


def pattern(text: str) -> Pattern:
    """Parses a sentence with fields.

    `{name}` is a word, `{a:q}` a quantity, `{a:c}` a category such as the 12 in `bus 12`, `{a:i}` an index such as the 2 in
    `day 2`, and `{a:o}` an index with its ordinal ending (`2nd`). Raises ValueError for any other kind of field.
    """
    slots: list[Slot] = []
    position = 0
    for match in _FIELD.finditer(text):
        name, _, kind = match[1].partition(":")
        if kind not in _ROLES:
            raise ValueError(f"a field ends in {', '.join(':' + kind for kind in _ROLES if kind)}, not {match[0]!r}")
        slots.append(Slot(text[position : match.start()], name, _ROLES[kind], kind == "o"))
        position = match.end()
    return Pattern(tuple(slots), text[position:])


def ordinal_ending(number: int) -> str:
    """Returns the English ending of an ordinal: st, nd, rd or th."""
    if number // 10 % 10 == 1:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
