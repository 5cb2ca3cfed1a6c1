"""Conversations as tokens with labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Int64
from pydantic import Field

from trimtab.data import IGNORE, Tokenizer
from trimtab.data.tasks.dataset import end_token
from trimtab.errors import ConfigError, DataError
from trimtab.posttraining.data.formats import Chat
from trimtab.posttraining.data.templates import Refused, Segment, Template, TrainOn

TooLong = Annotated[
    Literal["drop", "cut"],
    Field(
        description="what happens to a conversation with more tokens than the context. drop: it is left out; cut: its end is cut "
        "off, and it is left out if no label remains. Both are counted in the report"
    ),
]


@dataclass(frozen=True)
class Encoded:
    """The tokens of a conversation; labels are the tokens of its answers and their end tokens, IGNORE elsewhere."""

    ids: Int64[np.ndarray, " tokens"]
    labels: Int64[np.ndarray, " tokens"]
    was_cut: bool = False

    @property
    def answer_tokens(self) -> int:
        """The number of labels."""
        return int(np.count_nonzero(self.labels != IGNORE))

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and labels."""
        return torch.from_numpy(self.ids), torch.from_numpy(self.labels)


@dataclass
class Dropped:
    """How many rows were left out for each reason, and where the first of them was."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, where: str) -> None:
        """Count a row."""
        self.counts[reason] += 1
        self.first.setdefault(reason, where)

    def lines(self) -> list[str]:
        """One line per reason, for people."""
        return [
            f"{count:,} left out, the first {self.first[reason]}: {reason}" for reason, count in self.counts.items()
        ]


class Encoder:
    """Encodes conversations with one tokenizer, template and context.

    The parts of a conversation (prompt, answer, what follows) are encoded apart, so an answer is generated after exactly the
    tokens that it was trained after. Each answer ends with exactly one token that ends answers, which has a label: the first
    one that the template writes after the answer, otherwise the tokenizer's own.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: Template, context: int, train_on: TrainOn, too_long: TooLong
    ) -> None:
        self.tokenizer, self.template, self.context = tokenizer, template, context
        self.train_on, self.too_long = train_on, too_long
        try:
            self.end = end_token(tokenizer)
        except ValueError as error:
            raise ConfigError(f"data.tokenizer: {error}. Use a tokenizer with an end token.") from error
        self.ends = tokenizer.ends or (self.end,)

    def encode(self, chats: Sequence[Chat]) -> list[Encoded | Refused]:
        """Each conversation as tokens, or why it is left out."""
        parts = self.template.segments([chat.messages for chat in chats], self.train_on)
        return [part if isinstance(part, Refused) else self._encoded(part) for part in parts]

    def _encoded(self, parts: Sequence[Segment]) -> Encoded | Refused:
        ids: list[int] = []
        labels: list[int] = []
        for part in parts:
            new = self.tokenizer.encode(part.text).astype(np.int64).tolist()
            if not part.is_answer:
                ids += new
                labels += [IGNORE] * len(new)
                continue
            if self._has_end(part.content or ""):
                return Refused("an answer contains the token that ends answers")
            length = next((place + 1 for place, token in enumerate(new) if token in self.ends), None)
            if length is None:
                new.append(self.end)
                length = len(new)
            if length == 1:
                return Refused("an answer has no tokens")
            ids += new
            labels += [*new[:length], *[IGNORE] * (len(new) - length)]
        return self._fitted(Encoded(np.array(ids, dtype=np.int64), np.array(labels, dtype=np.int64)))

    def _has_end(self, content: str) -> bool:
        return bool(np.isin(self.tokenizer.encode(content), self.ends).any())

    def _fitted(self, encoded: Encoded) -> Encoded | Refused:
        if len(encoded.ids) <= self.context:
            return encoded
        reason = f"it has more tokens than data.context ({self.context})"
        if self.too_long == "drop":
            return Refused(reason)
        cut = Encoded(encoded.ids[: self.context], encoded.labels[: self.context], was_cut=True)
        return cut if cut.answer_tokens else Refused(f"{reason}, and no label remains once its end is cut off")


def refuse_empty(name: str, kept: int, dropped: Dropped) -> None:
    """Raise `DataError` if no row is left."""
    if not kept:
        raise DataError(
            f"No row of {name} can be used: {'; '.join(dropped.lines()) or 'it has no rows'}. Set a larger data.context, or "
            "correct the rows."
        )
