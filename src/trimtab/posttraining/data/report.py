"""Report on the conversations or pairs of a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trimtab.data import Tokenizer
from trimtab.data.report import UnknownCharacters
from trimtab.posttraining.data.encoding import Dropped, Encoded


@dataclass(frozen=True)
class PostTrainingReport:
    """Report on the data of a run; `tokens` counts the training split, lengths both.

    `chosen_longer` is the share of pairs whose chosen answer has more tokens than the rejected one; None for chats. It matters
    because an objective on pairs can learn length instead of quality.
    """

    name: str
    unit: Literal["chats", "pairs"]
    train: int
    validation: int
    tokens: int
    answer_tokens: int
    longest: int
    mean_answer: float
    cut: int
    dropped: Dropped
    unknown_characters: UnknownCharacters
    chosen_longer: float | None = None
    reference: str | None = None

    def lines(self) -> list[str]:
        """The report for people, one line per fact."""
        lines = [
            f"{self.name}: {self.train:,} {self.unit} to train, {self.validation:,} to validate, no prompt in both",
            f"{self.tokens:,} training tokens, {self.answer_tokens:,} of them in answers; the longest example has "
            f"{self.longest:,} tokens, the mean answer {self.mean_answer:.1f}",
        ]
        if self.chosen_longer is not None:
            lines.append(f"the chosen answer is longer in {self.chosen_longer:.0%} of the pairs")
        if self.cut:
            lines.append(f"{self.cut:,} {self.unit} were cut at the context")
        lines += self.dropped.lines()
        if self.unknown_characters.total:
            lines.append(self.unknown_characters.line())
        if self.reference is not None:
            lines.append(f"reference: {self.reference}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "train": self.train,
            "validation": self.validation,
            "tokens": self.tokens,
            "answer_tokens": self.answer_tokens,
            "longest": self.longest,
            "mean_answer": self.mean_answer,
            "cut": self.cut,
            "dropped": dict(self.dropped.counts),
            "first_dropped": dict(self.dropped.first),
            "chosen_longer": self.chosen_longer,
            "reference": self.reference,
            "unknown_characters": self.unknown_characters.to_dict(),
        }


def unknown_characters(rows: Sequence[Encoded], texts: Sequence[str], tokenizer: Tokenizer) -> Counter[str]:
    """The characters of the rows that the tokenizer lacks; `texts` are their messages."""
    unknown: Counter[str] = Counter()
    for row, text in zip(rows, texts, strict=True):
        if tokenizer.unknown_count(row.ids.astype(tokenizer.dtype)) or tokenizer.dropped(text):
            unknown.update(tokenizer.unknown_characters(text))
    return unknown


def lengths(rows: Sequence[Encoded]) -> dict[str, Any]:
    """The longest row and the mean length of its answers, for the report."""
    return {
        "longest": max(len(row.ids) for row in rows),
        "mean_answer": float(np.mean([row.answer_tokens for row in rows])),
    }
