"""Batched completion of prompts of different lengths."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from trimtab.generation.rules import MakeRules, NewRows, RowRules
from trimtab.generation.sampling import check_options, has_cache, pick
from trimtab.models.outputs import logits_of

Ended = Literal["stop", "text", "length", "context"]
"""Why a completion ended: a stop token, a stop text, the requested number of tokens, or a full context."""

_CONTEXT = 8
"""Number of preceding tokens that are decoded together with new ones in the search for a stop text."""

_COMPACT = 0.75
"""A batch is copied without its ended rows when at most this share of its rows is still running."""


@dataclass(frozen=True)
class Completion:
    """The completion of one prompt.

    `tokens` include the stop token, if there was one. `log_probabilities` are the natural logarithms of the model's probabilities
    of these tokens, before temperature and filters. `text` excludes the stop token and everything from a stop text on; it is None
    without a `decode` function. Prompt and `text` together are the decoded text of all tokens. `details` is what the row's rules
    report.
    """

    tokens: Int[Tensor, " tokens"]
    log_probabilities: Float[Tensor, " tokens"]
    ended: Ended
    text: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@torch.no_grad()
def complete(
    model: nn.Module,
    prompts: Sequence[Int[Tensor, "_"]],
    tokens: int,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Collection[int] = (),
    stop_texts: Sequence[str] = (),
    decode: Callable[[npt.ArrayLike], str] | None = None,
    decode_alone: bool = False,
    batch_size: int = 16,
    cached: bool = True,
    rules: MakeRules | None = None,
    uniform: Float64[Tensor, "prompts tokens"] | None = None,
) -> list[Completion]:
    """Continue each prompt by up to `tokens` tokens, without dropout; results are in the order of the prompts.

    Prompts of similar length are read together, padded on the left with an attention mask, and with a key-value cache if the
    model has one. A row ends at a token of `stop`, at a text of `stop_texts` (which needs `decode`, the tokenizer's), or when the
    model's `context` is full; ended rows are removed from the batch. `temperature`, `top_k` and `top_p` are those of `choose`. A
    completion is decoded together with its prompt (see `continuation`), or separately with `decode_alone`, for models trained on
    separately encoded answers. The random numbers of a row depend only on `generator` and its place among the prompts, not on
    other rows or `batch_size`; at temperature 0 nothing is drawn. The model's train or evaluation mode is restored. `rules` may
    change the logits of each row (see `RowRules`); without them those of the model count, if it has a method `row_rules`.
    `uniform` are random numbers in [0, 1) to draw with, instead of the generator's.

    Raises:
        ValueError: a prompt is empty or longer than the context, or an option is out of range.
    """
    rules = rules or getattr(model, "row_rules", None)
    check_options(temperature=temperature, top_k=top_k, top_p=top_p)
    if tokens < 1 or batch_size < 1:
        raise ValueError(f"tokens and batch_size must be 1 or more, found {tokens} and {batch_size}")
    if stop_texts and (decode is None or not all(stop_texts)):
        raise ValueError("stop_texts need a `decode` and must not be empty")
    context = int(getattr(model, "context"))  # noqa: B009 - user models are typed as plain modules
    lengths = [len(prompt) for prompt in prompts]
    for index, length in enumerate(lengths):
        if not 1 <= length <= context:
            raise ValueError(f"prompt {index} has {length} tokens; it must have 1 to {context} (the context)")
    if temperature == 0:
        uniform = None
    elif uniform is None:
        shape = (len(prompts), tokens)
        uniform = torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device)
    order = sorted(range(len(prompts)), key=lengths.__getitem__)
    completions: dict[int, Completion] = {}
    training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            kept = cached and has_cache(model)
            batch = _Batch(model, [prompts[row] for row in rows], tokens, context, cached=kept)
            if rules is not None:
                batch.rules = rules(NewRows(rows, batch.window, batch.real, tokens, stop))
            text_decoder = None if decode is None else _TextDecoder(decode, None if decode_alone else batch.prompts)
            for step in range(tokens):
                logits = batch.read()
                drawn = None if uniform is None else uniform[[rows[i] for i in batch.rows], step]
                batch.add(
                    logits, pick(logits, drawn, temperature=temperature, top_k=top_k, top_p=top_p).to(logits.device)
                )
                batch.end(stop, stop_texts, text_decoder)
                if not batch.live:
                    break
            for place, row in enumerate(rows):
                completions[row] = batch.completion(place, stop_texts, text_decoder)
    finally:
        model.train(training)
    return [completions[row] for row in range(len(prompts))]


def continuation(decode: Callable[[npt.ArrayLike], str], prompt: Sequence[int], tokens: Sequence[int]) -> str:
    """The text that `tokens` add to `prompt`: all are decoded together, and the prompt's text is removed.

    Decoded alone, tokens may give another text: some tokenizers drop the space before the first word, and a character whose first
    bytes are in the prompt would be lost. Such a character belongs to the continuation.
    """
    whole, before = decode([*prompt, *tokens]), decode(prompt)
    same = len(before)
    if not whole.startswith(before):
        same = next((i for i, (a, b) in enumerate(zip(whole, before, strict=False)) if a != b), min(len(whole), same))
    return whole[same:]


class _TextDecoder:
    """Decodes a row's new tokens: after its prompt, or alone if there are no prompts."""

    def __init__(self, decode: Callable[[npt.ArrayLike], str], prompts: Sequence[Sequence[int]] | None) -> None:
        self._decode, self._prompts = decode, prompts

    def text(self, row: int, tokens: Sequence[int]) -> str:
        return self._decode(tokens) if self._prompts is None else continuation(self._decode, self._prompts[row], tokens)

    def tail(self, row: int, tokens: Sequence[int], count: int) -> str:
        """The text of the last `count` tokens, decoded together with a few before them."""
        if self._prompts is None:
            return self._decode(tokens[-count:])
        before = [*self._prompts[row][-_CONTEXT:], *tokens[:-count]][-_CONTEXT:]
        return continuation(self._decode, before, tokens[-count:])


class _Batch:
    """Prompts that are continued together: `rows` are those still in memory, `live` those still running."""

    def __init__(
        self,
        model: Any,
        prompts: list[Tensor],
        tokens: int,
        context: int,
        *,
        cached: bool,
    ) -> None:
        device = next(model.parameters()).device
        width = max(len(prompt) for prompt in prompts)
        self.model, self.tokens = model, tokens
        self.prompts: list[list[int]] = [prompt.tolist() for prompt in prompts]
        self.left = [context - len(prompt) + 1 for prompt in prompts]
        self.unread = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
        self.real: Bool[Tensor, "rows all"] = torch.zeros(len(prompts), width, dtype=torch.bool, device=device)
        for row, prompt in enumerate(prompts):
            self.unread[row, width - len(prompt) :] = prompt
            self.real[row, width - len(prompt) :] = True
        self.window = self.unread
        self.cache = model.empty_cache(width + tokens) if cached else None
        self.rows = list(range(len(prompts)))
        self.live = set(self.rows)
        self.ended: dict[int, Ended] = {}
        self.produced: list[list[int]] = [[] for _ in prompts]
        self.log_probabilities: list[list[float]] = [[] for _ in prompts]
        self.rules: RowRules | None = None
        self.details: dict[int, Mapping[str, Any]] = {}

    def read(self) -> Float[Tensor, "rows vocab"]:
        """The logits after all tokens so far, under the rules."""
        if self.cache is None:
            padding = int(self.real.any(dim=0).int().argmax())  # columns that only rows which have left needed
            self.window, self.real = self.window[:, padding:], self.real[:, padding:]
        mask = None if bool(self.real.all()) else self.real
        if self.cache is None:
            result = self.model(self.window, mask)
        else:
            result = self.model.extend(self.unread, self.cache, mask, last=True)
        logits = logits_of(result)[:, -1]
        return logits if self.rules is None else self.rules.logits(logits, self.cache, self.window, mask)

    def add(self, logits: Float[Tensor, "rows vocab"], chosen: Int[Tensor, " rows"]) -> None:
        """Append one token per row; for ended rows it is padding."""
        log_probabilities = logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(dim=-1)
        for row, token, value in zip(self.rows, chosen.tolist(), log_probabilities.tolist(), strict=True):
            if row in self.live:
                self.produced[row].append(token)
                self.log_probabilities[row].append(value)
        self.unread = chosen[:, None].to(self.unread)
        if self.rules is not None:
            self.rules.add(self.unread[:, 0])
        real = torch.tensor([[row in self.live] for row in self.rows], device=self.real.device)
        self.real = torch.cat((self.real, real), dim=1)
        if self.cache is None:
            self.window = torch.cat((self.window, self.unread), dim=1)

    def end(self, stop: Collection[int], stop_texts: Sequence[str], text_decoder: _TextDecoder | None) -> None:
        """Find the rows that end at this step, and remove ended rows from memory once there are many."""
        # n characters are at most 4 n tokens: a character has up to 4 bytes, a token at least 1. 4 more for a cut character.
        tail = 4 * max(map(len, stop_texts), default=0) + 4
        for row in sorted(self.live):
            produced = self.produced[row]
            if produced[-1] in stop:
                self.ended[row] = "stop"
            elif text_decoder is not None and stop_texts and _has(text_decoder.tail(row, produced, tail), stop_texts):
                self.ended[row] = "text"
            elif len(produced) == self.tokens:
                self.ended[row] = "length"
            elif len(produced) == self.left[row]:
                self.ended[row] = "context"
                self.real[self.rows.index(row), -1] = (
                    False  # the row may stay in memory, and has no position left for it
                )
            else:
                continue
            self.live.discard(row)
            if self.rules is not None:
                self.details[row] = self.rules.report(self.rows.index(row))
        # Some pretrained models have recurrent states whose rows cannot be removed; their ended rows continue as padding.
        can_drop = self.cache is None or getattr(self.model, "drops_rows", True)
        full = self.cache is None and any(self.ended.get(row) == "context" for row in self.rows)
        if can_drop and self.live and (full or len(self.live) <= _COMPACT * len(self.rows)):
            kept = torch.tensor(
                [place for place, row in enumerate(self.rows) if row in self.live], device=self.real.device
            )
            self.rows = [row for row in self.rows if row in self.live]
            self.unread, self.real, self.window = self.unread[kept], self.real[kept], self.window[kept]
            if self.cache is not None:
                self.model.keep_rows(self.cache, kept)
            if self.rules is not None:
                self.rules.keep(kept)

    def completion(self, row: int, stop_texts: Sequence[str], text_decoder: _TextDecoder | None) -> Completion:
        """The completion of a row."""
        produced, ended = self.produced[row], self.ended[row]
        text = None
        if text_decoder is not None:
            text = text_decoder.text(row, produced[:-1] if ended == "stop" else produced)
            starts = [place for mark in stop_texts if (place := text.find(mark)) >= 0]
            text = text[: min(starts)] if ended == "text" and starts else text
        values = torch.tensor(self.log_probabilities[row], dtype=torch.float64)
        return Completion(torch.tensor(produced), values, ended, text, self.details.get(row, {}))


def _has(text: str, stop_texts: Sequence[str]) -> bool:
    return any(part in text for part in stop_texts)
