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
"""The character tokenizer's id of a character outside its policy."""

Policy = Literal["printable", "printable_newline_tab", "ascii128"]

_PRINTABLE = "".join(map(chr, range(32, 127)))
_ALPHABETS: dict[Policy, str] = {
    "printable": _PRINTABLE,
    "printable_newline_tab": "\t\n" + _PRINTABLE,
    "ascii128": "".join(map(chr, range(128))),
}


class CharacterTokenizer:
    """One id a character: `<PAD>` 0, `<UNK>` 1, then the policy's characters in code-point order.

    The vocabulary is 99 for the default policy (tab, newline and printable ASCII 32-126), 97 for `printable` and 130 for
    `ascii128` (code points 0-127). Any other character is `<UNK>`, which decodes to U+FFFD; `<PAD>` decodes to nothing.
    Everything inside the policy round-trips.
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
                description="Which characters have an id: printable ASCII (32-126), that with newline and tab, or all of "
                "ASCII (0-127). The others become <UNK>."
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
        """The ids of a text, one a character (uint8)."""
        return np.frombuffer(self._codes(text).translate(self._ids), dtype=np.uint8)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`; raises ValueError for an id outside the vocabulary."""
        array = np.asarray(ids).astype(np.int64, copy=False).reshape(-1)
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < self.vocabulary:
            raise ValueError(f"ids lie in [0, {self.vocabulary}), found {array.min()} to {array.max()}")
        return str(self._code_points[array[array != PAD]].tobytes(), "utf-32-le")

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """The ids of a text and the character that each stands for."""
        starts = np.arange(len(text))
        return self.encode(text), np.stack((starts, starts + 1), axis=1)

    def texts(self) -> Sequence[str]:
        """Nothing for `<PAD>`, U+FFFD for `<UNK>`, then the characters of the policy."""
        return ["", UNKNOWN_MARK, *self.alphabet]

    def unknown_count(self, ids: Ids) -> int:
        """How many of these ids are `<UNK>`."""
        return int(np.count_nonzero(ids == UNK))

    def dropped(self, text: str) -> Mapping[str, int]:
        """None: what is outside the policy becomes `<UNK>`."""
        del text
        return {}

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """The characters outside the policy, with their counts."""
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        found, counts = np.unique(code_points[self.encode(text) == UNK], return_counts=True)
        return {chr(code): int(count) for code, count in zip(found, counts, strict=True)}

    @staticmethod
    def _codes(text: str) -> bytes:
        """A byte a character: its code point, or 128 for anything that is not ASCII."""
        if text.isascii():
            return text.encode("ascii")
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return bytes(np.minimum(code_points, 128).astype(np.uint8))
