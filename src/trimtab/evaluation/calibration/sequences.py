"""The confidence in a generated answer: its probability, and how often other samples agree."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

_ROUNDING = 1e-3  # a log probability may be this far above 0: bf16 logits


@dataclass(frozen=True)
class SequenceConfidence:
    """Of each answer the probability of its span, its geometric mean per token, and the span's tokens."""

    probability: Float[np.ndarray, " n"]
    per_token: Float[np.ndarray, " n"]
    tokens: Int[np.ndarray, " n"]


def sequence_confidence(token_log_probs: Any, mask: Any) -> SequenceConfidence:
    """The probability of each answer span: exp Σ log p over the tokens that `mask` marks.

    `token_log_probs` [n, time] in nats, of the tokens that were generated, from the distribution they are judged under (for
    a sampled answer that at temperature 1); `mask` [n, time], true on the answer and on the token that ends it: without
    the end token, "4" would be as probable as everything that begins with "4". Other positions are ignored.
    Compare `probability` with correctness; `per_token` compares answers of unequal length and is no
    probability of being right.

    Raises ValueError for unequal shapes, an answer without a token, NaN and log probabilities above 0.
    """
    logs, in_span = np.asarray(token_log_probs, dtype=np.float64), np.asarray(mask).astype(bool)
    if logs.ndim != 2 or logs.shape != in_span.shape:
        raise ValueError(
            f"token_log_probs and mask should have one shape [n, time]; found {logs.shape}, {in_span.shape}."
        )
    tokens = in_span.sum(axis=1)
    if (tokens == 0).any():
        at = int(np.flatnonzero(tokens == 0)[0])
        raise ValueError(f"Every answer should have at least one token (the end token counts); answer {at} has none.")
    logs = np.where(in_span, logs, 0.0)
    wrong = ~(logs <= _ROUNDING)
    if wrong.any():
        answer, at = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"Log probabilities should be 0 or less; token {at} of answer {answer} has {logs[answer, at]}."
        )
    total = np.minimum(logs, 0.0).sum(axis=1)
    return SequenceConfidence(np.exp(total), np.exp(total / tokens), tokens)


@dataclass(frozen=True)
class Agreement:
    """The answer most samples give (as normalised), the share that give it, and how many samples and answers there were."""

    answer: str
    share: float
    samples: int
    distinct: int


def agreement(answers: Sequence[str], normalise: Callable[[str], str] | None = None) -> Agreement:
    """The share of sampled `answers` that give the most frequent one, equal after `normalise` (`normalised` unless given).

    Self-consistency (Wang et al. 2022) as a confidence. Among equally frequent answers the first given counts. With m
    samples the share is at least 1/m, so 0.2 from 5 samples means no agreement. Raises ValueError for no answers.
    """
    if not answers:
        raise ValueError("There should be at least one answer to agree on.")
    counts = Counter(map(normalise or normalised, answers))
    answer, most = counts.most_common(1)[0]
    return Agreement(answer, most / len(answers), len(answers), len(counts))


def normalised(text: str) -> str:
    """A text in normal form: NFKC characters, case folded, each run of white space replaced by one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
