"""The straightforward way to optimise memory vectors: one pair and one sequence at a time, in the library's own network.

The baseline of the engine's benchmark, and the reference in its tests.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trimtab.memory.engine.layout import Branch, Layout


def plain_losses(
    network: nn.Module,
    modes: Sequence[Float[Tensor, "rows d"]],
    vectors: Float[Tensor, "k d"],
    branches: Sequence[Branch],
    layout: Layout = "two_sequences",
) -> tuple[list[Tensor], float]:
    """The mean NLL of each branch in nats per token, differentiable, and the smallest logit margin of the judged targets."""
    untyped: Any = network
    embedding = untyped.get_input_embeddings()
    losses, margins = [], []
    for branch in branches:
        ids = torch.tensor(branch.ids, device=vectors.device)
        mode = [] if branch.mode is None else [modes[branch.mode]]
        prompt = [*mode, vectors] if layout == "two_sequences" else [vectors, *mode]
        inputs = torch.cat([*(part.to(vectors.dtype) for part in prompt), embedding(ids[:-1])])
        logits = untyped(inputs_embeds=inputs[None], use_cache=False).logits[0, -len(ids) :]
        losses.append(nn.functional.cross_entropy(logits, ids))
        if branch.judged:
            target = logits.detach().gather(1, ids[:, None])
            others = logits.detach().scatter(1, ids[:, None], float("-inf"))
            margins.append(float((target - others.amax(1, keepdim=True)).min()))
    return losses, min(margins, default=float("inf"))


def plain_step(
    network: nn.Module,
    modes: Sequence[Float[Tensor, "rows d"]],
    vectors: Float[Tensor, "k d"],
    branches: Sequence[Branch],
    optimizer: torch.optim.Optimizer,
) -> float:
    """One update of one pair's vectors by automatic differentiation; returns the objective."""
    optimizer.zero_grad()
    losses, _ = plain_losses(network, modes, vectors, branches)
    total = torch.stack([branch.weight * loss for branch, loss in zip(branches, losses, strict=True)]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(total.detach())
