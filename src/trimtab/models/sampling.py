"""Text generation with a key-value cache."""

from collections.abc import Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trimtab.models.block import KeyValues
from trimtab.models.decoder import Decoder


def filter_logits(
    logits: Float[Tensor, "batch vocab"], *, top_k: int | None = None, top_p: float | None = None
) -> Float[Tensor, "batch vocab"]:
    """`logits` with everything outside the `top_k` best, or outside the smallest set of probability `top_p`, at minus infinity.

    With both, `top_k` comes first. At least one token always stays (nucleus sampling: Holtzman et al. 2020).
    """
    if top_k is not None:
        kept = torch.topk(logits, min(top_k, logits.shape[-1]), dim=-1)
        logits = torch.full_like(logits, -torch.inf).scatter(-1, kept.indices, kept.values)
    if top_p is not None and top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        outside = before >= top_p
        outside[:, 0] = False
        logits = logits.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), -torch.inf)
    return logits


def choose(
    logits: Float[Tensor, "batch vocab"],
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Int[Tensor, " batch"]:
    """One token a row: multinomial at `temperature`, or the likeliest (the first among equals) at temperature 0.

    The draw is made in fp64 on the generator's device by inverting the cumulative distribution: one uniform number a row.

    Raises:
        ValueError: `temperature` is negative, `top_k` below 1 or `top_p` outside (0, 1].
    """
    if temperature < 0:
        raise ValueError(f"temperature must be 0 or more, found {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be 1 or more, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], found {top_p}")
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits.to(generator.device, torch.float64)
    probabilities = filter_logits(logits / temperature, top_k=top_k, top_p=top_p).softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    uniform = torch.rand(logits.shape[0], 1, dtype=torch.float64, generator=generator, device=generator.device)
    picked = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
    likeliest = probabilities.argmax(dim=-1)
    picked = picked.clamp(max=logits.shape[-1] - 1)
    possible = probabilities.gather(1, picked[:, None])[:, 0] > 0
    return torch.where(possible, picked, likeliest)


@torch.no_grad()
def generate(
    model: Decoder,
    prompt_ids: Int[Tensor, "batch prompt"],
    tokens: int,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Collection[int] = (),
    slide: int | None = None,
    cached: bool = True,
) -> Int[Tensor, "batch new"]:
    """Up to `tokens` tokens after each prompt (all of one length), without dropout; the model's mode stays as it was.

    Generation ends early once every row has produced a token of `stop`; rows that stopped before are filled up with the
    token they stopped at. The stop token is part of the result.

    A full context slides: when the window holds `model.context` tokens, its oldest `slide` tokens (by default an eighth of the
    context) are forgotten, and the rest is read again from position 0. So the model always sees between `context - slide`
    and `context` of the last tokens, and a smaller `slide` costs proportionally more. A prompt longer than the context is
    cut to its last `context - slide` tokens. `cached=False` recomputes every step over the same windows, for checks.

    Raises:
        ValueError: an empty prompt, or an option out of range.
    """
    if prompt_ids.shape[1] == 0:
        raise ValueError("the prompt needs at least one token")
    slide = max(1, model.context // 8) if slide is None else slide
    if not 1 <= slide <= model.context:
        raise ValueError(f"slide must lie in 1..{model.context} (the context), found {slide}")
    remembered = max(1, model.context - slide)
    training = model.training
    model.eval()
    try:
        window = prompt_ids if prompt_ids.shape[1] <= model.context else prompt_ids[:, -remembered:]
        unread = window
        cache = _empty(model)
        done = torch.zeros(prompt_ids.shape[0], dtype=torch.bool, device=prompt_ids.device)
        last = prompt_ids[:, -1]
        produced: list[Tensor] = []
        for _ in range(tokens):
            logits = model.extend(unread, cache) if cached else model(window)
            chosen = choose(logits[:, -1], generator, temperature=temperature, top_k=top_k, top_p=top_p)
            last = torch.where(done, last, chosen.to(prompt_ids.device))
            produced.append(last)
            done = done | torch.isin(last, torch.tensor(sorted(stop), dtype=last.dtype, device=last.device))
            if bool(done.all()):
                break
            unread = last[:, None]
            if window.shape[1] == model.context:
                window = unread = torch.cat((window, unread), dim=1)[:, -remembered:]
                cache = _empty(model)
            else:
                window = torch.cat((window, unread), dim=1)
    finally:
        model.train(training)
    return torch.stack(produced, dim=1) if produced else prompt_ids[:, :0]


def _empty(model: Decoder) -> list[KeyValues]:
    """An empty cache for `model`."""
    return [KeyValues(model.context) for _ in model.blocks]
