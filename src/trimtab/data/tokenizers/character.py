"""The character tokenizer: one id per ASCII character."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Int
from pydantic import Field

from trimtab.data.pieces import Cuts
from trimtab.data.tokenizers.interface import PAD, UNKNOWN_MARK, Ids

UNK = 1
"""The id of a character outside the policy of the character tokenizer."""

Policy = Literal["printable", "printable_newline_tab", "ascii128"]

_PRINTABLE = "".join(map(chr, range(32, 127)))
_ALPHABETS: dict[Policy, str] = {
    "printable": _PRINTABLE,
    "printable_newline_tab": "\t\n" + _PRINTABLE,
    "ascii128": "".join(map(chr, range(128))),
}


class CharacterTokenizer:
    """One id per character: `<PAD>` is 0, `<UNK>` is 1, then the characters of the policy in code-point order.

    The vocabulary has 99 ids with the default policy (tab, newline and printable ASCII 32-126), 97 with `printable` and 130 with
    `ascii128` (code points 0-127). All other characters become `<UNK>`, which decodes to U+FFFD; `<PAD>` decodes to nothing. Text
    within the policy is decoded to itself.
    """

    name = "character"
    cuts: Cuts = "anywhere"
    end: int | None = None
    ends: tuple[int, ...] = ()

    def __init__(
        self,
        *,
        policy: Annotated[
            Policy,
            Field(
                description="The characters that have an id: printable ASCII (32-126), also with newline and tab, or all of "
                "ASCII (0-127). Other characters become <UNK>."
            ),
        ] = "printable_newline_tab",
    ) -> None:
        if policy not in _ALPHABETS:
            raise ValueError(f"policy must be one of {', '.join(_ALPHABETS)}, not {policy!r}")
        self.policy = policy
        self.alphabet = _ALPHABETS[policy]
        self.vocabulary = 2 + len(self.alphabet)
        self.dtype: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint8)
        self.fingerprint = hashlib.sha256(f"character 1 {self.alphabet!r}".encode()).hexdigest()
        table = bytearray([UNK]) * 256
        for index, character in enumerate(self.alphabet):
            table[ord(character)] = 2 + index
        self._ids = bytes(table)
        self._code_points = np.array([0, ord(UNKNOWN_MARK), *map(ord, self.alphabet)], dtype="<u4")

    def encode(self, text: str) -> Ids:
        """Returns the ids of a text, one per character (uint8)."""
        return np.frombuffer(self._codes(text).translate(self._ids), dtype=np.uint8)

    def decode(self, ids: npt.ArrayLike) -> str:
        """Returns the text of `ids`. Raises ValueError for an id outside the vocabulary."""
        array = np.asarray(ids).astype(np.int64, copy=False).reshape(-1)
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < self.vocabulary:
            raise ValueError(f"ids must be in [0, {self.vocabulary}), but are from {array.min()} to {array.max()}")
        return str(self._code_points[array[array != PAD]].tobytes(), "utf-32-le")

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """Returns the ids of a text and the span of each character."""
        starts = np.arange(len(text))
        return self.encode(text), np.stack((starts, starts + 1), axis=1)

    def texts(self) -> Sequence[str]:
        """Returns an empty text for `<PAD>`, U+FFFD for `<UNK>`, then the characters of the policy."""
        return ["", UNKNOWN_MARK, *self.alphabet]

    def unknown_count(self, ids: Ids) -> int:
        """Returns the number of ids that are `<UNK>`."""
        return int(np.count_nonzero(ids == UNK))

    def dropped(self, text: str) -> Mapping[str, int]:
        """Returns nothing, because every character has a token."""
        del text
        return {}

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """Returns the characters outside the policy, with their counts."""
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        characters, counts = np.unique(code_points[self.encode(text) == UNK], return_counts=True)
        return {chr(code): int(count) for code, count in zip(characters, counts, strict=True)}

    @staticmethod
    def _codes(text: str) -> bytes:
        """One byte per character: its code point, or 128 if it is not ASCII."""
        if text.isascii():
            return text.encode("ascii")
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return bytes(np.minimum(code_points, 128).astype(np.uint8))
