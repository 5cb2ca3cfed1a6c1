"""The interface of tokenizers, and the numeric values of their tokens."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from trimtab.data.pieces import Cuts

PAD = 0
"""The id of padding."""

UNKNOWN_MARK = "\ufffd"
"""The decoded text of an unknown character: U+FFFD, the replacement character."""

Ids = npt.NDArray[np.unsignedinteger[Any]]

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Tokenizer(Protocol):
    """Turns text into token ids and back. Tokenizers with equal `fingerprint` give the same ids for every text."""

    @property
    def name(self) -> str:
        """The name to display."""

    @property
    def vocabulary(self) -> int:
        """The number of ids; every id is in [0, vocabulary)."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that determines the ids and the end of an answer."""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest unsigned type that can represent every id."""

    @property
    def cuts(self) -> Cuts:
        """Where a text may be cut so that the ids of its pieces are those of the whole text."""

    @property
    def end(self) -> int | None:
        """The id that ends an answer; None if the vocabulary has no such token."""

    @property
    def ends(self) -> tuple[int, ...]:
        """The ids that stop generation, `end` first; empty if there are none."""

    def encode(self, text: str) -> Ids:
        """Returns the ids of a text, in `dtype`."""

    def decode(self, ids: npt.ArrayLike) -> str:
        """Returns the text of a one-dimensional sequence of ids."""

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """Returns the ids of a text, and for each its span [start, end) in characters."""

    def texts(self) -> Sequence[str]:
        """Returns the text of every single id, in the order of the ids; empty for an id without text."""

    def unknown_count(self, ids: Ids) -> int:
        """Returns the number of ids that represent something that the vocabulary lacks."""

    def dropped(self, text: str) -> Mapping[str, int]:
        """Returns the characters of a text that are encoded as no token, with their counts."""

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """Returns the characters of a text that become unknown tokens or are dropped, with their counts."""


def token_values(texts: Sequence[str]) -> Float64[Tensor, " vocabulary"]:
    """Returns the number that each token spells on its own, in ASCII digits with at most one decimal point; NaN for other tokens.

    Spaces before the digits are ignored; a token with spaces after them is not a number.
    """
    values = torch.full((len(texts),), torch.nan, dtype=torch.float64)
    for token, text in enumerate(texts):
        digits = text.lstrip(" ")
        if len(digits) <= 15 and _NUMBER.fullmatch(digits):
            values[token] = float(digits)
    return values
