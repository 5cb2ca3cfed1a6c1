"""What belongs to the rows of a batch in generation: how far each has thought, and what it decided.

Counts are numpy arrays: a few numbers per row and token, for which a tensor operation would take longer than the sum itself.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.metacognition.layer import Decision
from trimtab.metacognition.tags import Tags, thinking

RowCounts = Int[np.ndarray, " rows"]
RowFlags = Bool[np.ndarray, " rows"]


@dataclass
class RowState:
    """Counts of tags read, and the decisions and gates of the rows that have opened a thought."""

    opened: RowCounts
    closed: RowCounts
    gate: Float[Tensor, "rows width"]
    decided: RowFlags
    decision: Decision | None = None

    @classmethod
    def fresh(cls, rows: int, width: int, device: torch.device) -> Self:
        """Rows of which nothing was read."""
        none = np.zeros(rows, dtype=np.int64)
        return cls(none, none, torch.ones(rows, width, device=device), np.zeros(rows, dtype=bool))

    def thinking(
        self, new: Int[Tensor, "rows new"], real: Bool[Tensor, "rows new"], tags: Tags
    ) -> Bool[Tensor, "rows new"]:
        """Which of the next tokens are part of a thought."""
        return thinking(new, real, tags, torch.from_numpy(self.opened), torch.from_numpy(self.closed))

    def read(self, new: Int[Tensor, "rows new"], real: Bool[Tensor, "rows new"], tags: Tags) -> None:
        """These tokens were read."""
        self.opened = self.opened + ((new == tags.open) & real).sum(1).cpu().numpy()
        self.closed = self.closed + ((new == tags.close) & real).sum(1).cpu().numpy()

    def read_one(self, tokens: RowCounts, tags: Tags, real: RowFlags | None = None) -> RowFlags:
        """One token of each row was read; returns in which rows it is part of a thought, as `thinking` says."""
        known = np.ones(len(tokens), dtype=bool) if real is None else real
        self.closed = self.closed + ((tokens == tags.close) & known)
        within: RowFlags = (self.opened > self.closed) & known
        self.opened = self.opened + ((tokens == tags.open) & known)
        return within

    def decide(self, decision: Decision, deciding: RowFlags) -> None:
        """Some rows decide; others keep what they have decided."""
        old, rows = self.decision or decision, torch.from_numpy(deciding).to(decision.gate.device)
        self.decision = Decision(
            *(
                torch.where(rows.view(-1, *[1] * (new.dim() - 1)), new, was)
                for new, was in zip(decision, old, strict=True)
            )
        )
        self.decided = self.decided | deciding
        self.gate = torch.where(rows[:, None], self.decision.gate, self.gate.to(decision.gate.dtype))

    def kept(self, rows: Int[Tensor, " kept"]) -> "RowState":
        """Only some of the rows."""
        decision = None if self.decision is None else Decision(*(value[rows] for value in self.decision))
        own = rows.cpu().numpy()
        return RowState(self.opened[own], self.closed[own], self.gate[rows], self.decided[own], decision)


@dataclass
class ThinkingCache:
    """The base model's cache, and the state of the rows."""

    inner: Any
    state: RowState | None = None
