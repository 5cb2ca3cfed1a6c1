"""What belongs to the rows of a batch in generation: how far each has thought, and what it decided."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.metacognition.layer import Decision
from trimtab.metacognition.tags import Tags, thinking


@dataclass
class RowState:
    """Counts of tags read, and the decisions and gates of the rows that have opened a thought."""

    opened: Int[Tensor, " rows"]
    closed: Int[Tensor, " rows"]
    gate: Float[Tensor, "rows width"]
    decided: Bool[Tensor, " rows"]
    decision: Decision | None = None

    @classmethod
    def fresh(cls, rows: int, width: int, device: torch.device) -> Self:
        """Rows of which nothing was read."""
        none = torch.zeros(rows, dtype=torch.long, device=device)
        return cls(none, none, torch.ones(rows, width, device=device), torch.zeros_like(none, dtype=torch.bool))

    def thinking(
        self, new: Int[Tensor, "rows new"], real: Bool[Tensor, "rows new"], tags: Tags
    ) -> Bool[Tensor, "rows new"]:
        """Which of the next tokens are part of a thought."""
        return thinking(new, real, tags, self.opened, self.closed)

    def read(self, new: Int[Tensor, "rows new"], real: Bool[Tensor, "rows new"], tags: Tags) -> None:
        """These tokens were read."""
        self.opened = self.opened + ((new == tags.open) & real).sum(1)
        self.closed = self.closed + ((new == tags.close) & real).sum(1)

    def decide(self, decision: Decision, deciding: Bool[Tensor, " rows"]) -> None:
        """Some rows decide; others keep what they have decided."""
        old = self.decision or decision
        self.decision = Decision(
            *(
                torch.where(deciding.view(-1, *[1] * (new.dim() - 1)), new, was)
                for new, was in zip(decision, old, strict=True)
            )
        )
        self.decided = self.decided | deciding
        self.gate = torch.where(deciding[:, None], self.decision.gate, self.gate.to(decision.gate.dtype))

    def kept(self, rows: Int[Tensor, " kept"]) -> "RowState":
        """Only some of the rows."""
        decision = None if self.decision is None else Decision(*(value[rows] for value in self.decision))
        return RowState(self.opened[rows], self.closed[rows], self.gate[rows], self.decided[rows], decision)


@dataclass
class ThinkingCache:
    """The base model's cache, and the state of the rows."""

    inner: Any
    state: RowState | None = None
