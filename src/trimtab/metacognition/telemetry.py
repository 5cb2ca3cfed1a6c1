"""Figures of a training batch: what the layer decided, and where its gate applied."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def batch_figures(outputs: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> dict[str, float]:
    """Figures of the rows that decided, for the records of a step; empty for a batch in which none did.

    - `alpha_min`, `alpha_max`, `alpha_entropy`: shares of the blocks, and their entropy in [0, log blocks], means over rows.
    - `plan_agreement`: the share of blocks whose own likeliest plan is that of all together.
    - `budget_variance`: the variance over blocks of the expected use, as a share of the largest cap.
    - `gate_coverage`: the share of the tokens of thoughts that the gate reached, and `gate_norm`: the root mean square of γ - 1.
    - `layer.N.alpha`, `layer.N.budget`, `layer.N.confidence`: the share of each block, and what it alone expects to use and its
      confidence under the largest cap.
    - `think_tokens_used`: tokens of a thought.
    """
    decided = outputs["decided"][:, 0]
    if not bool(decided.any()):
        return {}
    row = {name: value[:, 0][decided] for name, value in outputs.items() if name not in ("thinking", "gated")}
    alpha = row["alpha"].double()
    entropy = -(alpha * alpha.clamp(min=1e-12).log()).sum(-1).clamp(max=math.log(alpha.shape[1]))
    agree = row["layer_plan"].argmax(-1) == row["plan"].argmax(-1)[:, None]
    share = row["layer_use"][..., -1] / row["caps"][:, -1:]
    thinking, gated = outputs["thinking"][decided].sum(), outputs["gated"][decided].sum()
    sure = -torch.expm1(torch.nn.functional.logsigmoid(-row["layer_confidence"]).sum(-1))
    figures = {
        "alpha_min": float(alpha.min(-1).values.mean()),
        "alpha_max": float(alpha.max(-1).values.mean()),
        "alpha_entropy": float(entropy.clamp(min=0).mean()),
        "plan_agreement": float(agree.double().mean()),
        "budget_variance": float(share.var(dim=1, unbiased=False).mean()),
        "gate_norm": float((row["gate"] - 1).square().mean().sqrt()),
        "think_tokens_used": float(thinking) / len(alpha),
    }
    if float(thinking):
        figures["gate_coverage"] = float(gated / thinking)
    each = (alpha.mean(0).tolist(), row["layer_use"][..., -1].mean(0).tolist(), sure.mean(0).tolist())
    for block, (share_of, use, confidence) in enumerate(zip(*each, strict=True), 1):
        own = f"layer.{block}"
        figures |= {f"{own}.alpha": share_of, f"{own}.budget": use, f"{own}.confidence": confidence}
    return figures
