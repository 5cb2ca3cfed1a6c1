"""What every tokenizer offers, and the numbers that its tokens spell."""

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
"""The id that fills up short examples."""

UNKNOWN_MARK = "\ufffd"
"""How an unknown character is shown when decoded: U+FFFD, the replacement character."""

Ids = npt.NDArray[np.unsignedinteger[Any]]

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Tokenizer(Protocol):
    """What turns text into token ids and back. Two tokenizers of one `fingerprint` give the same ids for every text."""

    @property
    def name(self) -> str:
        """The name to show."""

    @property
    def vocabulary(self) -> int:
        """How many ids there are; every id lies in [0, vocabulary)."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides the ids and where an answer ends."""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest unsigned type that holds every id."""

    @property
    def cuts(self) -> Cuts:
        """Where a long text may be cut so that its pieces' ids are those of the whole."""

    @property
    def end(self) -> int | None:
        """The id that ends an answer; None where the vocabulary has no such token."""

    @property
    def ends(self) -> tuple[int, ...]:
        """The ids that stop generation, `end` first; empty where there is none."""

    def encode(self, text: str) -> Ids:
        """The ids of a text, in `dtype`."""

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of a one-dimensional sequence of ids."""

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """The ids of a text and, for each, where in the text it stands: [start, end) in characters."""

    def texts(self) -> Sequence[str]:
        """The text of every id decoded by itself, in the order of the ids; empty for an id that spells nothing."""

    def unknown_count(self, ids: Ids) -> int:
        """How many of these ids stand for something the vocabulary does not have."""

    def dropped(self, text: str) -> Mapping[str, int]:
        """The characters of a text that are encoded as no token, with their counts."""

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """The characters of a text that become unknown or are dropped, with their counts."""


def token_values(texts: Sequence[str]) -> Float64[Tensor, " vocabulary"]:
    """The number that each token spells by itself, as ASCII digits with at most one point; NaN for all other tokens.

    Blanks before the digits are part of the token and no part of the number; a blank behind them makes it none.
    """
    values = torch.full((len(texts),), torch.nan, dtype=torch.float64)
    for token, text in enumerate(texts):
        digits = text.lstrip(" ")
        if len(digits) <= 15 and _NUMBER.fullmatch(digits):
            values[token] = float(digits)
    return values
