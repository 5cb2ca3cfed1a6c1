"""Greedy decoding of a frozen model after a mode and a memory's vectors."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.config.offline import offline_import
from trimtab.memory.engine.layout import Layout
from trimtab.memory.engine.network import FrozenNetwork


def prompt_vectors(
    mode: Float[Tensor, "rows d"], vectors: Float[Tensor, "k d"], layout: Layout
) -> Float[Tensor, "rows_k d"]:
    """The rows before the first target token: [mode, c] or, with a shared prefix, [c, mode]."""
    return torch.cat((mode, vectors) if layout == "two_sequences" else (vectors, mode))


@torch.no_grad()
def greedy_decode(
    network: FrozenNetwork,
    prompts: Sequence[Float[Tensor, "_ d"]],
    tokens: int,
    ends: Collection[int],
    batch_size: int = 32,
) -> list[tuple[int, ...]]:
    """The greedy continuation of each prompt, at most `tokens` tokens; it ends with a token of `ends` if one comes.

    Prompts of equal length are decoded together, so nothing is padded. Uses the model's own key-value cache.
    """
    decoded: dict[int, tuple[int, ...]] = {}
    for length in sorted({len(prompt) for prompt in prompts}):
        rows = [index for index, prompt in enumerate(prompts) if len(prompt) == length]
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            continuations = _decode_batch(network, torch.stack([prompts[index] for index in batch]), tokens, ends)
            decoded.update(zip(batch, continuations, strict=True))
    return [decoded[index] for index in range(len(prompts))]


def _decode_batch(
    network: FrozenNetwork, prompts: Float[Tensor, "rows length d"], tokens: int, ends: Collection[int]
) -> list[tuple[int, ...]]:
    decoded: list[list[int]] = [[] for _ in range(len(prompts))]
    live = list(range(len(prompts)))
    with network.library_attention() as model:
        cache = offline_import("transformers").DynamicCache(config=model.config)
        unread = prompts.to(network.device, network.dtype)
        for _ in range(tokens):
            logits = model(inputs_embeds=unread, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            chosen = logits[:, -1].argmax(-1)
            for row, token in zip(live, chosen.tolist(), strict=True):
                decoded[row].append(token)
            going = [place for place, row in enumerate(live) if decoded[row][-1] not in ends]
            if not going:
                break
            if len(going) < len(live):
                kept = torch.tensor(going, device=network.device)
                cache.batch_select_indices(kept)
                chosen, live = chosen[kept], [live[place] for place in going]
            unread = network.embedding[chosen][:, None]
    return [tuple(row) for row in decoded]
