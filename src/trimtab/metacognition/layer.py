"""The metacognitive layer: from the hidden states of all blocks at one token to a plan, a length, a confidence and a gate."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Decision(NamedTuple):
    """What the layer says of each row. Plans, hazards and confidences are logits; names with `layer` are those of each block."""

    summary: Float[Tensor, "rows proj"]
    alpha: Float[Tensor, "rows blocks"]
    plan: Float[Tensor, "rows plans"]
    hazards: Float[Tensor, "rows bins"]
    confidence: Float[Tensor, "rows caps"]
    layer_plan: Float[Tensor, "rows blocks plans"]
    layer_hazards: Float[Tensor, "rows blocks bins"]
    layer_confidence: Float[Tensor, "rows blocks caps"]
    gate: Float[Tensor, "rows width"]


class Trunk(nn.Module):
    """u -> W₂ gelu(W₁ rms(u) + e_l): one map for all blocks, told apart by the embedding e_l, or (not `linked`) one for each."""

    def __init__(self, blocks: int, width: int, proj: int, *, linked: bool) -> None:
        super().__init__()
        maps = 1 if linked else blocks
        self.first = nn.Parameter(torch.randn(maps, width, proj) / width**0.5)
        self.second = nn.Parameter(torch.randn(maps, proj, proj) / proj**0.5)
        self.block = nn.Parameter(0.02 * torch.randn(blocks, proj))

    def forward(self, taps: Float[Tensor, "rows blocks width"]) -> Float[Tensor, "rows blocks proj"]:
        """A vector for each block."""
        normed = functional.rms_norm(taps, taps.shape[-1:], eps=1e-6).transpose(0, 1)
        hidden = functional.gelu(normed @ self.first + self.block[:, None])
        return (hidden @ self.second).transpose(0, 1)


class Attention(nn.Module):
    """α = softmax over blocks of v · tanh(W z)."""

    def __init__(self, proj: int) -> None:
        super().__init__()
        self.project = nn.Linear(proj, proj, bias=False)
        self.score = nn.Linear(proj, 1, bias=False)

    def forward(self, z: Float[Tensor, "rows blocks proj"]) -> Float[Tensor, "rows blocks"]:
        """The share of each block."""
        scores: Tensor = self.score(torch.tanh(self.project(z)))
        return scores[..., 0].softmax(-1)


class MetacognitiveLayer(nn.Module):
    """Trunk, aggregator, heads and gate, in the parameters' precision. The heads read the aggregate, and each block alone.

    The gate is γ = 1 + ½ tanh(W [g; softmax plan]) with W = 0 at the start, which changes nothing.
    """

    def __init__(
        self, *, blocks: int, width: int, proj: int, linked: bool, agg: str, plans: int, caps: int, gate: bool
    ) -> None:
        super().__init__()
        self.width = width
        self.trunk = Trunk(blocks, width, proj, linked=linked)
        self.attention = Attention(proj) if agg == "attention" else None
        self.heads = nn.ModuleDict(
            {
                "plan": nn.Linear(proj, plans),
                "hazards": nn.Linear(proj, caps - 1),
                "confidence": nn.Linear(proj, caps),
            }
        )
        self.gate_head = nn.Linear(proj + plans, width, bias=False) if gate else None
        if self.gate_head is not None:
            nn.init.zeros_(self.gate_head.weight)

    def forward(self, taps: Float[Tensor, "rows blocks width"]) -> Decision:
        """The decision of each row, from the hidden states at its decision token; no gradient reaches these."""
        z = self.trunk(taps.detach().to(self.trunk.first.dtype))
        alpha = z.new_full(z.shape[:2], 1 / z.shape[1]) if self.attention is None else self.attention(z)
        g = (alpha[..., None] * z).sum(1)
        plan, hazards, confidence = self.heads.values()
        gate = z.new_ones(z.shape[0], self.width)
        if self.gate_head is not None:
            gate = 1 + 0.5 * torch.tanh(self.gate_head(torch.cat((g, plan(g).softmax(-1)), dim=-1)))
        return Decision(g, alpha, plan(g), hazards(g), confidence(g), plan(z), hazards(z), confidence(z), gate)
