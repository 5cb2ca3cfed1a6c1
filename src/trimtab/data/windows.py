"""Windows over a sequence of tokens, and their difficulty."""

import numpy as np
import torch
from jaxtyping import Float64

from trimtab.data.batch import IGNORE, Batch, Item
from trimtab.data.tokenizers import Ids

MOST_FOR_BIGRAMS = 2048
"""The largest vocabulary for which bigrams are counted; for larger ones the table would be too large, so tokens are counted."""

_CHUNK = 1 << 22


class WindowDataset:
    """Windows of `context + 1` tokens over a sequence of tokens; a window starts every `stride` tokens.

    After the shift (`Batch.shifted`), the first `context` tokens of a window are its inputs and the last `context` its targets.
    With stride == context, neighbouring windows share one token, and every token except the first is a target exactly once. With
    a smaller stride, tokens in several windows are targets several times. The last window may be shorter; it is padded only in a
    batch. `labels[t]` is the token at position t.

    `vocabulary` is the number of ids that `difficulty` counts; by default one more than the largest id. Raises ValueError unless
    1 <= stride <= context (a longer stride would lose tokens) and there are at least two tokens.
    """

    def __init__(self, tokens: Ids, context: int, stride: int | None = None, *, vocabulary: int | None = None) -> None:
        stride = context if stride is None else stride
        if not 1 <= stride <= context:
            raise ValueError(
                f"stride must lie in [1, context = {context}], not {stride}: a longer one would lose tokens"
            )
        if len(tokens) < 2:
            raise ValueError(f"a window needs two tokens at least, there are {len(tokens)}")
        self.tokens = tokens
        self.context = context
        self.stride = stride
        self.vocabulary = vocabulary
        self._length = 1 + max(0, -(-(len(tokens) - 1 - context) // stride))
        self._offsets = np.arange(context + 1)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self._length:
            raise IndexError(f"window {index} of {self._length}")
        start = index * self.stride
        ids = torch.from_numpy(self.tokens[start : start + self.context + 1].astype(np.int64))
        return {"input_ids": ids, "labels": ids.clone(), "metadata": {"index": index}}

    def difficulty(self) -> Float64[np.ndarray, " windows"]:
        """The mean surprisal of each window under the bigram counts of the tokens (see `surprisals`), in nats."""
        vocabulary = int(self.tokens.max()) + 1 if self.vocabulary is None else self.vocabulary
        return surprisals(self.tokens, np.arange(self._length) * self.stride, self.context, vocabulary)

    def batch(self, indices: list[int], pad: int) -> Batch:
        """Returns the windows of `indices` as one batch: equal to collating the items, but faster."""
        starts = np.array(indices, dtype=np.int64) * self.stride
        positions = starts[:, None] + self._offsets
        metadata = {"index": list(indices)}
        if positions[:, -1].max() < len(self.tokens):
            ids = torch.from_numpy(self.tokens[positions].astype(np.int64))
            return Batch(ids, ids.clone(), None, metadata)
        longest = int(np.minimum(len(self.tokens) - starts, self.context + 1).max())
        positions = positions[:, :longest]
        real = positions < len(self.tokens)
        if real.all():
            ids = torch.from_numpy(self.tokens[positions].astype(np.int64))
            return Batch(ids, ids.clone(), None, metadata)
        padded = self.tokens[np.minimum(positions, len(self.tokens) - 1)].astype(np.int64)
        return Batch(
            torch.from_numpy(np.where(real, padded, pad)),
            torch.from_numpy(np.where(real, padded, IGNORE)),
            torch.from_numpy(real),
            metadata,
        )


def surprisals(tokens: Ids, starts: np.ndarray, length: int, vocabulary: int) -> Float64[np.ndarray, " windows"]:
    """Returns the mean surprisal of the tokens of each window in nats, given the token before (large vocabulary: on its own).

    Window i contains the tokens from `starts[i]` to `starts[i] + length`, up to the end of `tokens`. Probabilities are counts
    over all of `tokens`, plus one.
    """
    cost = _bigram_cost(tokens, vocabulary) if vocabulary <= MOST_FOR_BIGRAMS else _unigram_cost(tokens, vocabulary)
    sums = np.zeros(len(tokens))
    for begin in range(1, len(tokens), _CHUNK):
        end = min(begin + _CHUNK, len(tokens))
        before, after = tokens[begin - 1 : end - 1].astype(np.int64), tokens[begin:end].astype(np.int64)
        sums[begin:end] = cost[before, after] if cost.ndim == 2 else cost[after]
    sums = np.cumsum(sums)
    ends = np.minimum(starts + length, len(tokens) - 1)
    means: Float64[np.ndarray, " windows"] = (sums[ends] - sums[starts]) / np.maximum(ends - starts, 1)
    return means


def _bigram_cost(tokens: Ids, vocabulary: int) -> Float64[np.ndarray, "before after"]:
    counts = np.ones(vocabulary * vocabulary)
    for begin in range(1, len(tokens), _CHUNK):
        end = min(begin + _CHUNK, len(tokens))
        pairs = tokens[begin - 1 : end - 1].astype(np.int64) * vocabulary + tokens[begin:end]
        counts += np.bincount(pairs, minlength=len(counts))
    table = counts.reshape(vocabulary, vocabulary)
    costs: Float64[np.ndarray, "before after"] = np.log(table.sum(axis=1, keepdims=True)) - np.log(table)
    return costs


def _unigram_cost(tokens: Ids, vocabulary: int) -> Float64[np.ndarray, " token"]:
    counts = np.ones(vocabulary)
    for begin in range(0, len(tokens), _CHUNK):
        counts += np.bincount(tokens[begin : begin + _CHUNK].astype(np.int64), minlength=vocabulary)
    costs: Float64[np.ndarray, " token"] = np.log(counts.sum()) - np.log(counts)
    return costs
