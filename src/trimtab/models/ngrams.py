"""Embeddings of the last few tokens together (n-grams), found by a hash."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

ABSENT = -1
"""The id at places without a token: before the start of the text, and at padding."""

_FACTOR = 0x5851F42D4C957F2D
"""An odd multiplier for 64-bit words (Knuth's MMIX generator)."""


class NgramEmbedding(nn.Module):
    """For each n from 2 to `longest`, a learned vector for the n tokens that end at each position; all vectors side by side.

    Each n has `buckets` vectors of `width / (longest - 1)` values. A hash assigns every n-gram to one of them, so several n-grams
    may share a vector (hash embeddings: Svenstrup et al. 2017; n-grams at the input of a language model: Huang et al. 2025). A
    look-up costs no matrix product, and the blocks need not learn which characters follow short strings.
    """

    def __init__(self, width: int, longest: int, buckets: int) -> None:
        super().__init__()
        self.longest, self.buckets = longest, buckets
        self.weight = nn.Parameter(torch.empty((longest - 1) * buckets, width // (longest - 1)))

    def forward(self, tokens: Int[Tensor, "batch all"], length: int) -> Float[Tensor, "batch length width"]:
        """The vectors at the last `length` positions of `tokens`, in which `ABSENT` marks places without a token."""
        places = ngram_buckets(tokens, length, self.longest, self.buckets)
        return functional.embedding(places, self.weight).flatten(2)


def ngram_buckets(
    tokens: Int[Tensor, "batch all"], length: int, longest: int, buckets: int
) -> Int[Tensor, "batch length lengths"]:
    """For the last `length` positions, the row of the table for the n-gram that ends there, for each n from 2 to `longest`."""
    padded = functional.pad(tokens, (longest - 1, 0), value=ABSENT) + 1
    end = padded.shape[1]
    key = padded[:, end - length :]
    places = []
    for n in range(2, longest + 1):
        start = end - length - n + 1
        # Products of int64 wrap around, alike on every device.
        key = key * _FACTOR + padded[:, start : start + length]
        mixed = (key ^ (key >> 32)) * _FACTOR
        places.append((mixed >> 24) % buckets + (n - 2) * buckets)
    return torch.stack(places, dim=-1)
