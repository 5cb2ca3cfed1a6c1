"""Cutting a stream of text into pieces whose tokens, one after the other, are those of the whole text."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

PIECE = 1 << 18
"""Characters a piece has at least (the last one excepted)."""

LONGEST = 1 << 19
"""Characters after which a text without a safe place is cut all the same: a tokenizer's working memory for one piece is
some 200 bytes a character, so this bounds what a stream takes."""

Cuts = Literal["anywhere", "lines", "words", "never"]
"""Where a tokenizer's text may be cut without changing its tokens: between any two characters; before a newline that
follows a non-space character (byte-level BPE as in GPT-2); only before one that follows a letter or digit (pre-tokenizers
that join punctuation with newlines, as Llama 3's); or nowhere (a prefix is added to every text, or its ends stripped)."""


class Piece(NamedTuple):
    """A part of a text; `exact` says that cutting at its end changes no token."""

    text: str
    exact: bool


def _may_end(character: str, cuts: Cuts) -> bool:
    """Whether a cut before a newline may follow this character."""
    return character.isalnum() if cuts == "words" else not character.isspace()


def last_cut(text: str, cuts: Cuts, start: int = 0, end: int | None = None) -> int:
    """The last safe place before a newline in `text[start:end]`, 0 where there is none."""
    position = text.rfind("\n", start, end)
    while position > start:
        if _may_end(text[position - 1], cuts):
            return position
        position = text.rfind("\n", start, position)
    return 0


def first_cut(text: str, cuts: Cuts, start: int) -> int:
    """The first safe place before a newline at or after `start`, 0 where there is none."""
    position = text.find("\n", start)
    while position >= 0:
        if position > 0 and _may_end(text[position - 1], cuts):
            return position
        position = text.find("\n", position + 1)
    return 0


def forced_cut(text: str) -> int:
    """Where to cut a long text that has no safe place: before the last newline or space of its second half, or at its end."""
    for mark in ("\n", " "):
        if (position := text.rfind(mark, (len(text) + 1) // 2)) > 0:
            return position
    return len(text)


def pieces(blocks: Iterable[str], cuts: Cuts, *, size: int = PIECE, longest: int = LONGEST) -> Iterator[Piece]:
    """Gather `blocks` of text into pieces of at least `size` characters, cut where a tokenizer with these `cuts` allows it.

    The pieces joined are the blocks joined; no more than `longest` + `size` characters and two blocks are held. A text
    with no safe cut for `longest` characters is cut all the same, and the piece says so (`exact` false).
    """
    held: list[str] = []
    length = 0
    rest = ""
    for block in blocks:
        held.append(block)
        length += len(block)
        if length < size:
            continue
        searched = len(rest)
        text = rest + "".join(held)
        held.clear()
        cut = len(text) if cuts == "anywhere" else last_cut(text, cuts, start=max(searched - 1, 0))
        exact = cuts != "never"
        if cut == 0 and len(text) >= longest:
            cut, exact = forced_cut(text), False
        if cut:
            yield Piece(text[:cut], exact)
            text = text[cut:]
        rest, length = text, 0
    if last := rest + "".join(held):
        yield Piece(last, True)


def parts(text: str, cuts: Cuts, size: int) -> list[str]:
    """`text` cut into parts of about `size` characters, at safe places only."""
    found: list[str] = []
    start = 0
    while len(text) - start > size:
        # Where a stretch has no safe place, the next one after it ends the part.
        cut = last_cut(text, cuts, start, start + size) or first_cut(text, cuts, start + size)
        if cut == 0:
            break
        found.append(text[start:cut])
        start = cut
    found.append(text[start:])
    return found
