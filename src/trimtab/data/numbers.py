"""Which numbers the tokens of a vocabulary are."""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


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
