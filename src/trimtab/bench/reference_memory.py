"""The straightforward way to find memory vectors: one pair at a time, one sequence at a time, in the library's own network.

What the engine is measured against, and the oracle of its tests.
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
    """The mean NLL of each branch in nats a token, with its graph, and the smallest logit margin of a judged branch's targets."""
    reach: Any = network
    embedding = reach.get_input_embeddings()
    losses, margins = [], []
    for branch in branches:
        ids = torch.tensor(branch.ids, device=vectors.device)
        mode = [] if branch.mode is None else [modes[branch.mode]]
        opening = [*mode, vectors] if layout == "two_sequences" else [vectors, *mode]
        read = torch.cat([*(part.to(vectors.dtype) for part in opening), embedding(ids[:-1])])
        logits = reach(inputs_embeds=read[None], use_cache=False).logits[0, -len(ids) :]
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
    """One update of one pair's vectors, as most code would make it; returns the objective."""
    optimizer.zero_grad()
    losses, _ = plain_losses(network, modes, vectors, branches)
    total = torch.stack([branch.weight * loss for branch, loss in zip(branches, losses, strict=True)]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(total.detach())
