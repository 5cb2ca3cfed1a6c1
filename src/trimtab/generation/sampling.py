"""Text generation with a key-value cache."""

from collections.abc import Collection
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from trimtab.models.decoder import Decoder
from trimtab.models.outputs import logits_of


def filter_logits(
    logits: Float[Tensor, "batch vocab"], *, top_k: int | None = None, top_p: float | None = None
) -> Float[Tensor, "batch vocab"]:
    """`logits` with −∞ outside the `top_k` largest and outside the smallest set of tokens with probability `top_p`.

    With both, `top_k` is applied first. At least one token is always kept (nucleus sampling: Holtzman et al. 2020).
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
    """One token per row: multinomial at `temperature`, or the most likely one (the first if several are equal) at temperature 0.

    Sampling inverts the cumulative distribution in fp64 on the generator's device, with one uniform number per row.

    Raises:
        ValueError: `temperature` is negative, `top_k` below 1 or `top_p` outside (0, 1].
    """
    check_options(temperature=temperature, top_k=top_k, top_p=top_p)
    uniform = None
    if temperature > 0:
        uniform = torch.rand(logits.shape[0], dtype=torch.float64, generator=generator, device=generator.device)
    return pick(logits, uniform, temperature=temperature, top_k=top_k, top_p=top_p)


def check_options(*, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Check the options of `choose`.

    Raises:
        ValueError: `temperature` is negative, `top_k` below 1 or `top_p` outside (0, 1].
    """
    if temperature < 0:
        raise ValueError(f"temperature must be 0 or more, but it is {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be 1 or more, but it is {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be in (0, 1], but it is {top_p}")


def pick(
    logits: Float[Tensor, "batch vocab"],
    uniform: Float64[Tensor, " batch"] | None,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Int[Tensor, " batch"]:
    """`choose` with given uniform numbers: one per row, or None at temperature 0."""
    if uniform is None:
        return logits.argmax(dim=-1)
    logits = logits.to(uniform.device, torch.float64)
    probabilities = filter_logits(logits / temperature, top_k=top_k, top_p=top_p).softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    picked = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)[:, 0]
    most_likely = probabilities.argmax(dim=-1)
    picked = picked.clamp(max=logits.shape[-1] - 1)
    possible = probabilities.gather(1, picked[:, None])[:, 0] > 0
    return torch.where(possible, picked, most_likely)


def has_cache(model: nn.Module) -> bool:
    """Whether a model has the methods of a key-value cache: `empty_cache`, `extend` and `keep_rows`, as `Decoder` has."""
    return all(hasattr(model, name) for name in ("empty_cache", "extend", "keep_rows"))


@torch.no_grad()
def generate(
    model: nn.Module,
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
) -> Int[Tensor, "batch all"]:
    """The prompts (all of equal length), each followed by up to `tokens` generated tokens, without dropout.

    Generation ends early once every row has produced a token of `stop`, which is part of the result; rows that stopped earlier
    are filled with their stop token. `temperature`, `top_k` and `top_p` are those of `choose`. The model's train or evaluation
    mode is restored.

    The context slides: when the window has `model.context` tokens, its oldest `slide` tokens (by default an eighth of the
    context) are dropped, and the rest is read again from position 0. So the model always sees between `context - slide` and
    `context` of the last tokens, and a smaller `slide` costs proportionally more. A prompt longer than the context is cut to its
    last `context - slide` tokens.

    Works with any model that has a `context` and this package's call signature. Without a cache (`has_cache`), or with
    `cached=False`, every step reads the whole window again, with the same result. For prompts of different lengths use
    `complete`.

    Raises:
        ValueError: a prompt is empty, or an option is out of range.
    """
    if prompt_ids.shape[1] == 0:
        raise ValueError("the prompt needs at least one token")
    context = int(getattr(model, "context"))  # noqa: B009 - user models are typed as plain modules
    slide = max(1, context // 8) if slide is None else slide
    if not 1 <= slide <= context:
        raise ValueError(f"slide must be in 1..{context} (the context), but it is {slide}")
    stops = torch.tensor(sorted(stop), dtype=prompt_ids.dtype, device=prompt_ids.device)
    done = torch.zeros(prompt_ids.shape[0], dtype=torch.bool, device=prompt_ids.device)
    reader = _Reader(model, context, slide, cached=cached and has_cache(model))
    produced = [prompt_ids]
    training = model.training
    model.eval()
    try:
        new = prompt_ids
        for _ in range(tokens):
            chosen = choose(reader.read(new), generator, temperature=temperature, top_k=top_k, top_p=top_p)
            new = torch.where(done[:, None], produced[-1][:, -1:], chosen[:, None].to(prompt_ids))
            produced.append(new)
            done = done | torch.isin(new[:, 0], stops)
            if bool(done.all()):
                break
    finally:
        model.train(training)
    return torch.cat(produced, dim=1)


class _Reader:
    """A model and its sliding window of tokens."""

    def __init__(self, model: Any, context: int, slide: int, *, cached: bool) -> None:
        self.model, self.context, self.cached = model, context, cached
        self.kept = max(1, context - slide)
        self.window: Tensor | None = None
        self.cache: Any = None
        # `last` changes the last bits of the logits, so it is not used for decoders: their text for a seed must not change.
        self.options = {} if isinstance(model, Decoder) else {"last": True}

    def read(self, new: Int[Tensor, "batch new"]) -> Float[Tensor, "batch vocab"]:
        """The logits after `new`, which follows the window."""
        unread = new
        window = new if self.window is None else torch.cat((self.window, new), dim=1)
        if self.window is None or window.shape[1] > self.context:
            if window.shape[1] > self.context:
                window = window[:, -self.kept :]
            unread = window
            self.cache = self.model.empty_cache() if self.cached else None
        self.window = window
        result = self.model.extend(unread, self.cache, **self.options) if self.cached else self.model(window)
        return logits_of(result)[:, -1]
