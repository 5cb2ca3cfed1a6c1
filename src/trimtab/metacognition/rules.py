"""The budget of a thought, held by the same code wherever a model generates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.generation.rules import NewRows
from trimtab.metacognition.caps import best_cap, confidence, expected_use
from trimtab.metacognition.layer import Decision
from trimtab.metacognition.state import RowCounts, RowFlags, RowState
from trimtab.metacognition.tags import Tags

FREE = 1 << 40
"""A cap that no thought reaches."""

Limit = int | Literal["auto"] | None
"""A requested budget: a number of thought tokens, the predicted one, or None for none."""


@dataclass(frozen=True)
class Budget:
    """How budgets are made: the caps, the price of a thought to the last cap, and the tokens left for the answer."""

    caps: tuple[int, ...]
    price: float
    answer_room: int
    predicted: bool = True

    def tensor(self, device: torch.device) -> Int[Tensor, " caps"]:
        """The caps."""
        return torch.tensor(self.caps, device=device)

    def choose(self, decision: Decision) -> Int[Tensor, " rows"]:
        """The index of the predicted cap of each row."""
        caps = self.tensor(decision.hazards.device)
        return best_cap(confidence(decision.confidence), expected_use(decision.hazards, caps), caps, self.price)


def check_left_padding(real: Bool[Tensor, "rows time"]) -> None:
    """Refuse prompts that are padded on the right: the next token would follow padding.

    Raises:
        ValueError: there is padding after a real token.
    """
    if bool((real[:, :-1] & ~real[:, 1:]).any()):
        raise ValueError(
            "prompts that are continued must be padded on the left, and these have padding after a real token"
        )


class Decides(Protocol):
    """A model that decides how to think."""

    tags: Tags
    budget: Budget
    context: int

    def decide(
        self, input_ids: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Decision, Bool[Tensor, " batch"]]:
        """The decision of each row, and which rows have one."""
        ...


class ThinkingRules:
    """Keeps the thoughts of some rows in order and within their budgets.

    A thought that has used its cap is closed: nothing but the closing tag may come next. No second one opens within it or after
    it, nothing ends the row within it, and there is no closing tag outside of it. `limits` are the requested budgets, one for all
    rows or one for each prompt; without them the model's own setting counts. Every cap is lowered where the prompt's context or
    the requested number of tokens would leave no room for the closing tag and an answer.
    """

    def __init__(self, model: Decides, rows: NewRows, limits: Limit | Sequence[Limit] | Literal["own"] = "own") -> None:
        check_left_padding(rows.real)
        self.model, self.tags, self.budget, self.stop = model, model.tags, model.budget, tuple(rows.stop)
        device = rows.window.device
        if limits == "own":
            limits = "auto" if model.budget.predicted else None
        wanted = [
            limits if isinstance(limits, str | int) or limits is None else limits[place] for place in rows.prompts
        ]
        self.auto = np.array([limit == "auto" for limit in wanted], dtype=bool)
        fixed = [FREE if limit is None or limit == "auto" else limit for limit in wanted]
        lengths = rows.real.sum(1).cpu().numpy()
        room = np.minimum(model.context + 1 - lengths, rows.tokens) - 1 - model.budget.answer_room
        self.room: RowCounts = np.maximum(room, 0)
        self.cap: RowCounts = np.minimum(np.array(fixed), self.room)
        self.state = RowState.fresh(len(rows.prompts), 1, device)
        self.state.read(rows.window, rows.real, self.tags)
        self.used: RowCounts = np.zeros(len(rows.prompts), dtype=np.int64)
        self.forced: RowFlags = np.zeros(len(rows.prompts), dtype=bool)
        self.decided: RowFlags = np.zeros(len(rows.prompts), dtype=bool)
        """Which rows have taken their cap from their decision."""

    @property
    def thinking(self) -> RowFlags:
        """Which rows are within a thought."""
        return self.state.opened > self.state.closed

    def logits(
        self,
        logits: Float[Tensor, "rows vocab"],
        cache: Any,
        window: Int[Tensor, "rows read"],
        mask: Bool[Tensor, "rows all"] | None,
    ) -> Float[Tensor, "rows vocab"]:
        """The logits under the rules."""
        thinking = self.thinking
        self._take_decisions(cache, window, mask, thinking)
        full = thinking & (self.used >= self.cap)
        self.forced = self.forced | full
        excluded = [(np.flatnonzero(self.state.opened > 0), self.tags.open)]
        excluded += [(np.flatnonzero(~thinking), self.tags.close)]
        excluded += [(np.flatnonzero(thinking), token) for token in self.stop]
        rows = np.concatenate([rows for rows, _ in excluded])
        tokens = np.repeat([token for _, token in excluded], [len(rows) for rows, _ in excluded])
        allowed = logits.clone()
        allowed[torch.from_numpy(rows), torch.from_numpy(tokens)] = -torch.inf
        if full.any():
            closing = torch.from_numpy(np.flatnonzero(full))
            allowed[closing] = -torch.inf
            allowed[closing, self.tags.close] = logits[closing, self.tags.close]
        return allowed

    def _take_decisions(self, cache: Any, window: Tensor, mask: Tensor | None, thinking: RowFlags) -> None:
        """Set the caps of rows that have just decided."""
        new = thinking & ~self.decided
        if not new.any():
            return
        if cache is None:
            self.state.decide(self.model.decide(window, mask)[0], new)
        else:
            self.state.decide(cache.state.decision, new)
        decision = self.state.decision
        assert decision is not None
        predicted = np.array(self.budget.caps)[self.budget.choose(decision).cpu().numpy()]
        self.cap = np.where(new & self.auto, np.minimum(predicted, self.room), self.cap)
        self.decided = self.decided | new

    def add(self, tokens: Int[Tensor, " rows"]) -> None:
        """These tokens were chosen."""
        self.used = self.used + self.state.read_one(tokens.cpu().numpy(), self.tags)

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Only these rows are left."""
        self.state = self.state.kept(rows)
        own = rows.cpu().numpy()
        self.auto, self.room, self.cap = self.auto[own], self.room[own], self.cap[own]
        self.used, self.forced, self.decided = self.used[own], self.forced[own], self.decided[own]

    def report(self, row: int) -> Mapping[str, Any]:
        """How a row has thought, and what it had decided; numbers only."""
        cap = int(self.cap[row])
        details: dict[str, Any] = {
            "think_tokens_used": int(self.used[row]),
            "cap": None if cap >= FREE else cap,
            "forced": bool(self.forced[row]),
        }
        if self.state.decision is None or not self.decided[row]:
            return details
        one = Decision(*(value[row] for value in self.state.decision))
        caps = self.budget.tensor(one.hazards.device)
        sure, use = confidence(one.confidence), expected_use(one.hazards, caps)
        place = int(torch.searchsorted(caps, min(cap, self.budget.caps[-1]), right=True)) - 1
        return details | {
            "predicted_cap": self.budget.caps[int(self.budget.choose(one))],
            "predicted_use": float(use[place]),
            "use_by_cap": use.tolist(),
            "plan": one.plan.softmax(-1).tolist(),
            "alpha": one.alpha.tolist(),
            "gate_norm": float((one.gate - 1).square().mean().sqrt()),
            "confidence": float(sure[place]),
            "confidence_by_cap": sure.tolist(),
        }
