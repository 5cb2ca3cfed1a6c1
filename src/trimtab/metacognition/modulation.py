"""How freely tokens are drawn, from the plan and the confidence of a row; it changes decoding and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.metacognition.caps import confidence
from trimtab.metacognition.rules import ThinkingRules
from trimtab.metacognition.state import RowCounts


@dataclass(frozen=True)
class Modulation:
    """What is drawn at full confidence and at none; between them in proportion. Each is a pair (sure, unsure).

    `thought` and `answer` multiply the temperature of the segment, `plans` that of both by the likeliest plan (the last one
    counts for further plans). `top_p` keeps the likeliest tokens with so much probability. `penalty` is subtracted from the
    logit of every token that the segment has already. All are set when a segment begins, and stay until it ends.
    """

    thought: tuple[float, float] = (0.7, 1.2)
    answer: tuple[float, float] = (0.3, 1.0)
    plans: tuple[float, ...] = (1.0,)
    top_p: tuple[float, float] = (0.9, 1.0)
    penalty: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        positive = (*self.thought, *self.answer, *self.plans)
        if not self.plans or min(positive) <= 0 or min(self.top_p) <= 0 or max(self.top_p) > 1:
            raise ValueError(
                "temperatures must be above 0 and top_p in (0, 1], but the modulation is "
                f"thought {self.thought}, answer {self.answer}, plans {self.plans}, top_p {self.top_p}"
            )


class ModulatedRules:
    """The rules of some rows, with modulated draws. Rows that have decided nothing are drawn as they are.

    At temperature 0 only the penalty has an effect. The log probabilities of a completion include the modulation.
    """

    def __init__(self, rules: ThinkingRules, modulation: Modulation) -> None:
        self.rules, self.modulation = rules, modulation
        rows, device = len(rules.used), rules.state.gate.device
        self.segment: RowCounts = np.full(rows, -1)
        self.temperature, self.top_p = torch.ones(rows, device=device), torch.ones(rows, device=device)
        self.penalty = torch.zeros(rows, device=device)
        self.seen: Bool[Tensor, "rows vocab"] | None = None

    def logits(
        self,
        logits: Float[Tensor, "rows vocab"],
        cache: Any,
        window: Int[Tensor, "rows read"],
        mask: Bool[Tensor, "rows all"] | None,
    ) -> Float[Tensor, "rows vocab"]:
        """The allowed logits, modulated."""
        allowed = self.rules.logits(logits, cache, window, mask)
        if self.seen is None:
            self.seen = torch.zeros_like(allowed, dtype=torch.bool)
        self._begin_segments()
        changed = allowed - self.penalty[:, None].to(allowed.dtype) * self.seen
        changed = changed / self.temperature[:, None].to(allowed.dtype)
        return _nucleus(changed, self.top_p)

    def _begin_segments(self) -> None:
        """Set what holds for the rows whose segment has just begun: 0 is the thought, 1 the answer."""
        decision = self.rules.state.decision
        if decision is None:
            return
        segment = np.where(self.rules.thinking, 0, 1)
        changed = (segment != self.segment) & self.rules.decided
        if not changed.any():
            return
        caps, device = np.array(self.rules.budget.caps), self.temperature.device
        new, thinking = torch.from_numpy(changed).to(device), torch.from_numpy(segment == 0).to(device)
        place = np.searchsorted(caps, np.minimum(self.rules.cap, caps[-1]), side="right") - 1
        own = torch.from_numpy(place).to(device)[:, None]
        sure = confidence(decision.confidence).gather(1, own)[:, 0].to(self.temperature.dtype)
        plans = torch.tensor(self.modulation.plans, device=sure.device)
        plan = plans[decision.plan.argmax(-1).clamp(max=len(plans) - 1)]
        of_segment = torch.where(
            thinking, _between(self.modulation.thought, sure), _between(self.modulation.answer, sure)
        )
        self.temperature = torch.where(new, of_segment * plan, self.temperature)
        self.top_p = torch.where(new, _between(self.modulation.top_p, sure), self.top_p)
        self.penalty = torch.where(new, _between(self.modulation.penalty, sure), self.penalty)
        assert self.seen is not None
        self.seen = self.seen & ~new[:, None]
        self.segment = np.where(changed, segment, self.segment)

    def add(self, tokens: Int[Tensor, " rows"]) -> None:
        """These tokens were chosen."""
        self.rules.add(tokens)
        assert self.seen is not None
        self.seen.scatter_(1, tokens[:, None], True)

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Only these rows are left."""
        self.rules.keep(rows)
        self.segment, self.temperature = self.segment[rows.cpu().numpy()], self.temperature[rows]
        self.top_p, self.penalty = self.top_p[rows], self.penalty[rows]
        self.seen = None if self.seen is None else self.seen[rows]

    def report(self, row: int) -> Mapping[str, Any]:
        """What the rules report, with the temperature of the last segment."""
        return {**self.rules.report(row), "temperature_factor": float(self.temperature[row])}


def _between(pair: tuple[float, float], sure: Tensor) -> Tensor:
    """The value at some confidence, between that at 1 and that at 0."""
    return pair[0] * sure + pair[1] * (1 - sure)


def _nucleus(logits: Float[Tensor, "rows vocab"], top_p: Float[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
    """Logits with -inf outside of each row's smallest set of tokens with probability `top_p`; all are kept at 1."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.float().softmax(-1)
    outside = (probabilities.cumsum(-1) - probabilities >= top_p[:, None]) & (top_p < 1)[:, None]
    outside[:, 0] = False
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), -torch.inf)
