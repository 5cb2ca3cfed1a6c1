"""Cuts a stream of text into pieces whose concatenated tokens are those of the whole text."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

PIECE = 1 << 18
"""The minimum number of characters of a piece, except the last one."""

LONGEST = 1 << 19
"""The number of characters after which a text without a safe place is cut anyway. Encoding takes some 200 bytes of memory per
character, so this bounds the memory of a stream."""

WINDOW = 128
"""The characters on each side of a cut that are encoded together and separately to test whether the cut changes a token."""

_TRIES = 8
_SEARCHED = 2048

Encode = Callable[[str], npt.NDArray[np.unsignedinteger[Any]]]

Cuts = Literal["anywhere", "lines", "words", "tried", "never"]
"""Where text may be cut without changing its tokens:

- `anywhere`: between any two characters;
- `lines`: before a newline that follows a non-space character (byte-level BPE as in GPT-2);
- `words`: only before a newline that follows a letter or digit (pre-tokenizers that join punctuation and newlines, as Llama 3's);
- `tried`: only where encoding the text around the place shows it;
- `never`: nowhere (a prefix is added to every text, or its ends are stripped).

`lines` and `words` say where to look first; such places are tested too.
"""


class Piece(NamedTuple):
    """A part of a text; `exact` means that the cut at its end changes no token."""

    text: str
    exact: bool


def _may_end(character: str, cuts: Cuts) -> bool:
    """Whether text may be cut before a newline that follows this character."""
    return character.isalnum() if cuts == "words" else not character.isspace()


def last_cut(text: str, cuts: Cuts, start: int = 0, end: int | None = None) -> int:
    """Returns the last safe place before a newline in `text[start:end]`, or 0 if there is none."""
    position = text.rfind("\n", start, end)
    while position > start:
        if _may_end(text[position - 1], cuts):
            return position
        position = text.rfind("\n", start, position)
    return 0


def last_exact(text: str, cuts: Cuts, start: int, end: int, encode: Encode) -> int:
    """Returns the last place in `text[start:end]` where, as far as `encode` shows, a cut changes no token, or 0 if none is found.

    The last safe places before newlines are tested first, then the last boundaries between letters or digits and other
    characters.
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
    """Returns whether a cut at `place` changes no token of the `WINDOW` characters on each side of it."""
    before, after = text[max(place - WINDOW, 0) : place], text[place : place + WINDOW]
    return np.array_equal(encode(before + after), np.concatenate((encode(before), encode(after))))


def forced_cut(text: str) -> int:
    """Returns where to cut a text without a safe place: before the last newline or space of its second half, or at its end."""
    for mark in ("\n", " "):
        if (position := text.rfind(mark, (len(text) + 1) // 2)) > 0:
            return position
    return len(text)


def pieces(
    blocks: Iterable[str], cuts: Cuts, *, size: int = PIECE, longest: int = LONGEST, encode: Encode | None = None
) -> Iterator[Piece]:
    """Joins `blocks` of text into pieces of at least `size` characters, cut where a tokenizer with these `cuts` allows it.

    The concatenated pieces equal the concatenated blocks. At most `longest` + `size` characters and two blocks are in memory.
    With `encode`, the tokenizer's function, every cut except `anywhere` is tested on the text around it. A text without a safe
    cut for `longest` characters is cut anyway; the piece then has `exact` False unless the test shows that no token changes.
    """
    pending: list[str] = []
    length = 0
    rest = ""
    for block in blocks:
        pending.append(block)
        length += len(block)
        if length < size:
            continue
        searched = len(rest)
        text = rest + "".join(pending)
        pending.clear()
        cut = _cut(text, cuts, searched, encode)
        exact = cuts != "never"
        if cut == 0 and len(text) >= longest:
            cut = forced_cut(text if encode is None else text[:-WINDOW] or text)
            exact = encode is not None and cut <= len(text) - WINDOW and is_exact(text, cut, encode)
        if cut:
            yield Piece(text[:cut], exact)
            text = text[cut:]
        rest, length = text, 0
    if last := rest + "".join(pending):
        yield Piece(last, True)


def _cut(text: str, cuts: Cuts, searched: int, encode: Encode | None) -> int:
    """The last safe place of a text, or 0 if there is none; the first `searched` characters have been searched before."""
    if cuts == "anywhere":
        return len(text)
    if encode is None:
        return last_cut(text, cuts, start=max(searched - 1, 0))
    if cuts == "never":
        return 0
    # The text after a cut matters too, so the last characters are searched with the next block.
    end = len(text) - WINDOW
    return last_exact(text, cuts, max(min(searched, end) - WINDOW, 0), end, encode)


def parts(text: str, cuts: Cuts, size: int, encode: Encode | None = None) -> list[str]:
    """Cuts `text` into parts of about `size` characters, at safe places only; with `encode`, cuts are tested as in `pieces`."""
    texts: list[str] = []
    start = 0
    while len(text) - start > size and cuts != "never":
        # If the next `size` characters have no safe place, later ones are searched.
        for end in range(start + size, len(text), size):
            cut = last_cut(text, cuts, start, end) if encode is None else last_exact(text, cuts, start, end, encode)
            if cut:
                break
        else:
            break
        texts.append(text[start:cut])
        start = cut
    texts.append(text[start:])
    return texts
