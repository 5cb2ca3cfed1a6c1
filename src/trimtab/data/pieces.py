"""Cutting a stream of text into pieces whose tokens, one after the other, are those of the whole text."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

PIECE = 1 << 18
"""Characters a piece has at least (the last one excepted)."""

LONGEST = 1 << 19
"""Characters after which a text without a safe place is cut all the same: a tokenizer's working memory for one piece is
some 200 bytes a character, so this bounds what a stream takes."""

WINDOW = 128
"""Characters on both sides of a cut that are encoded whole and apart to see whether it changes a token."""

_TRIES = 8
_SEARCHED = 2048

Encode = Callable[[str], npt.NDArray[np.unsignedinteger[Any]]]

Cuts = Literal["anywhere", "lines", "words", "tried", "never"]
"""Where a tokenizer's text may be cut without changing its tokens: between any two characters; before a newline that
follows a non-space character (byte-level BPE as in GPT-2); only before one that follows a letter or digit (pre-tokenizers
that join punctuation with newlines, as Llama 3's); only where a trial on the text around the place shows it; or nowhere (a
prefix is added to every text, or its ends stripped). `lines` and `words` are where to look first: they are tried too."""


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


def last_exact(text: str, cuts: Cuts, start: int, end: int, encode: Encode) -> int:
    """The last place in `text[start:end]` where cutting changes no token, as far as `encode` shows it; 0 where none is found.

    Tried are the last safe places before a newline, then the last ones where words and other characters meet.
    """
    tried = 0
    position = end
    while cuts in ("lines", "words") and tried < _TRIES and (position := last_cut(text, cuts, start, position)):
        if is_exact(text, position, encode):
            return position
        tried += 1
    position, tried = end, 0
    while position - 1 > max(start, end - _SEARCHED) and tried < _TRIES:
        position -= 1
        if text[position - 1].isalnum() == text[position].isalnum():
            continue
        if is_exact(text, position, encode):
            return position
        tried += 1
    return 0


def is_exact(text: str, place: int, encode: Encode) -> bool:
    """Whether a text's tokens around `place` are the same when it is cut there, tried on `WINDOW` characters on both sides."""
    before, after = text[max(place - WINDOW, 0) : place], text[place : place + WINDOW]
    return np.array_equal(encode(before + after), np.concatenate((encode(before), encode(after))))


def forced_cut(text: str) -> int:
    """Where to cut a long text that has no safe place: before the last newline or space of its second half, or at its end."""
    for mark in ("\n", " "):
        if (position := text.rfind(mark, (len(text) + 1) // 2)) > 0:
            return position
    return len(text)


def pieces(
    blocks: Iterable[str], cuts: Cuts, *, size: int = PIECE, longest: int = LONGEST, encode: Encode | None = None
) -> Iterator[Piece]:
    """Gather `blocks` of text into pieces of at least `size` characters, cut where a tokenizer with these `cuts` allows it.

    The pieces joined are the blocks joined; no more than `longest` + `size` characters and two blocks are held. With `encode`,
    the tokenizer's, every cut that is not `anywhere` is tried on the text around it. A text with no safe cut for `longest`
    characters is cut all the same, and the piece says so (`exact` false) unless the trial shows that no token changes.
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
        cut = _cut(text, cuts, searched, encode)
        exact = cuts != "never"
        if cut == 0 and len(text) >= longest:
            cut = forced_cut(text if encode is None else text[:-WINDOW] or text)
            exact = encode is not None and cut <= len(text) - WINDOW and is_exact(text, cut, encode)
        if cut:
            yield Piece(text[:cut], exact)
            text = text[cut:]
        rest, length = text, 0
    if last := rest + "".join(held):
        yield Piece(last, True)


def _cut(text: str, cuts: Cuts, searched: int, encode: Encode | None) -> int:
    """The last safe place of a text of which `searched` characters were looked through before, 0 where there is none."""
    if cuts == "anywhere":
        return len(text)
    if encode is None:
        return last_cut(text, cuts, start=max(searched - 1, 0))
    if cuts == "never":
        return 0
    # What follows a cut decides too, so the last characters wait for the next block.
    end = len(text) - WINDOW
    return last_exact(text, cuts, max(min(searched, end) - WINDOW, 0), end, encode)


def parts(text: str, cuts: Cuts, size: int, encode: Encode | None = None) -> list[str]:
    """`text` cut into parts of about `size` characters, at safe places only; with `encode` each is tried as in `pieces`."""
    found: list[str] = []
    start = 0
    while len(text) - start > size and cuts != "never":
        # Where a stretch has no safe place, one after it ends the part.
        for end in range(start + size, len(text), size):
            cut = last_cut(text, cuts, start, end) if encode is None else last_exact(text, cuts, start, end, encode)
            if cut:
                break
        else:
            break
        found.append(text[start:cut])
        start = cut
    found.append(text[start:])
    return found
