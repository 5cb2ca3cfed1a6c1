"""What a frozen model says under a mode and a memory's vectors: fresh greedy decoding, token by token."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.config.offline import offline_import
from trimtab.memory.engine.layout import Layout
from trimtab.memory.engine.network import FrozenNetwork


def opening(mode: Float[Tensor, "rows d"], vectors: Float[Tensor, "k d"], layout: Layout) -> Float[Tensor, "rows_k d"]:
    """What stands before the first target token: [mode, c] or, with a shared prefix, [c, mode]."""
    return torch.cat((mode, vectors) if layout == "two_sequences" else (vectors, mode))


@torch.no_grad()
def say(
    network: FrozenNetwork,
    openings: Sequence[Float[Tensor, "_ d"]],
    tokens: int,
    ends: Collection[int],
    batch_size: int = 32,
) -> list[tuple[int, ...]]:
    """What follows each opening, greedily, up to `tokens` tokens; one of the tokens `ends`, if it came, is the last.

    Openings of one length are read together, so nothing is padded. The model's own key-value cache is used.
    """
    found: dict[int, tuple[int, ...]] = {}
    lengths = sorted({len(one) for one in openings})
    for length in lengths:
        rows = [index for index, one in enumerate(openings) if len(one) == length]
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            said = _said(network, torch.stack([openings[index] for index in part]), tokens, ends)
            found.update(zip(part, said, strict=True))
    return [found[index] for index in range(len(openings))]


def _said(
    network: FrozenNetwork, read: Float[Tensor, "rows length d"], tokens: int, ends: Collection[int]
) -> list[tuple[int, ...]]:
    said: list[list[int]] = [[] for _ in range(len(read))]
    live = list(range(len(read)))
    with network.reading_plainly() as model:
        cache = offline_import("transformers").DynamicCache(config=model.config)
        unread = read.to(network.device, network.dtype)
        for _ in range(tokens):
            logits = model(inputs_embeds=unread, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            chosen = logits[:, -1].argmax(-1)
            for row, token in zip(live, chosen.tolist(), strict=True):
                said[row].append(token)
            going = [place for place, row in enumerate(live) if said[row][-1] not in ends]
            if not going:
                break
            if len(going) < len(live):
                kept = torch.tensor(going, device=network.device)
                cache.batch_select_indices(kept)
                chosen, live = chosen[kept], [live[place] for place in going]
            unread = network.embedding[chosen][:, None]
    return [tuple(row) for row in said]
