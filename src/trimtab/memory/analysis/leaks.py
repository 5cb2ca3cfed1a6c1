"""Information in memories, in bits: what they reveal about texts in each mode, and how much each vector stores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.errors import ConfigError
from trimtab.evidence import t_interval
from trimtab.memory.analysis.shared import one_per_pair, shared_modes_and_layout
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import Progress, Variant, losses_under_vectors, no_progress
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.store import Memory

MODES: dict[str, int | None] = {"question": 0, "answer": 1, "none": None}
TEXTS = ("question", "answer", "counterfactual", "other")

Ids = tuple[int, ...]


def leak_matrix(
    network: FrozenNetwork,
    memories: Sequence[Memory],
    counterfactual: Mapping[str, Sequence[int]],
    other: Mapping[str, Sequence[int]],
    *,
    starts: Sequence[int] = (),
    positions: int = 1024,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The content of `leaks.json`. `progress` is called between blocks of work.

    `bits`: NLL under the memory minus NLL under the prior, in bits, of four texts (the question, the answer, a counterfactual
    answer, another pair's answer) in each mode and without a mode ("none"). Each is the mean over pairs with its 95% t interval
    (None for an end that is not finite). Below 0 the memory makes the text more likely. NLLs are of whole texts, end token
    included. The prior is the model's NLL of the text without vectors and mode, after a start token: the one of `start_tokens`
    and `starts` that makes the text most likely. So what the model knew before is not counted as recall, and a chat model is not
    measured only after the token that begins a turn. `prior`: its mean in bits, by text.

    `per_vector`: stored bits = prior − NLL under the memory, summed over both sides, each in its own mode. It has these for each
    memory, with the numbers of tokens, and the mean per vector with its interval.

    `counterfactual` and `other` map a pair's id to token ids with the end token last. A pair that is missing in one is not in
    that text's mean, and a text that no pair has is left out. Only the first memory of a pair counts.

    Raises:
        ValueError: there is no memory, or the memories are from different runs.
        ConfigError: the model has no start token and none is given.
    """
    memories = one_per_pair(memories)
    modes, layout = shared_modes_and_layout(memories)
    texts = [_texts(memory, counterfactual, other) for memory in memories]
    under_memory: list[Variant] = []
    priors: list[Variant] = []
    first_tokens = [
        network.embedding[[token]] for token in dict.fromkeys((*starts, *start_tokens(network, needed=not starts)))
    ]
    for memory, own in zip(memories, texts, strict=True):
        for ids in own.values():
            under_memory.append((memory.vectors, [Branch(mode, ids) for mode in MODES.values()]))
            priors += [(first, [Branch(None, ids)]) for first in first_tokens]
    first, total = len(under_memory), len(under_memory) + len(priors)
    memory_losses = iter(
        losses_under_vectors(network, modes, under_memory, layout, positions, lambda done, _: progress(done, total))
    )
    prior_losses = iter(
        losses_under_vectors(
            network, modes, priors, "two_sequences", positions, lambda done, _: progress(first + done, total)
        )
    )
    bits: dict[str, dict[str, list[float]]] = {text: {mode: [] for mode in MODES} for text in TEXTS}
    prior: dict[str, list[float]] = {text: [] for text in TEXTS}
    stored: list[float] = []
    for own in texts:
        difference = {}
        for text in own:
            lowest = min(next(prior_losses).nll[0] for _ in first_tokens) / math.log(2)
            prior[text].append(lowest)
            for mode, nll in zip(MODES, next(memory_losses).nll, strict=True):
                difference[text, mode] = nll / math.log(2) - lowest
                bits[text][mode].append(difference[text, mode])
        stored.append(-difference["question", "question"] - difference["answer", "answer"])
    measured = [text for text in TEXTS if prior[text]]
    return {
        "bits": {text: {mode: estimate(values) for mode, values in bits[text].items()} for text in measured},
        "prior": {text: estimate(prior[text]) for text in measured},
        "per_vector": _per_vector(memories, stored),
    }


def start_tokens(network: FrozenNetwork, *, needed: bool = True) -> tuple[int, ...]:
    """The begin, end and padding tokens that a model's config names: a text may begin after any of them.

    Raises:
        ConfigError: the config names none although one is `needed`.
    """
    tokens: list[int] = []
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        token = getattr(network.network.config, name, None)
        listed = token if isinstance(token, list) else [token]
        tokens += [one for one in listed if type(one) is int and 0 <= one < len(network.embedding)]
    if needed and not tokens:
        raise ConfigError(
            f"model: the config of {network.name} names no bos_token_id, eos_token_id or pad_token_id of its "
            "vocabulary, so there is no start token for the model's prior. Name one of them in its config.json."
        )
    return tuple(dict.fromkeys(tokens))


def estimate(values: Sequence[float]) -> dict[str, float | None]:
    """A mean with its 95% t interval; ends that are not finite are None."""
    interval = t_interval(values)
    low, high = (end if math.isfinite(end) else None for end in (interval.low, interval.high))
    return {"mean": interval.mean, "low": low, "high": high}


def _texts(
    memory: Memory, counterfactual: Mapping[str, Sequence[int]], other: Mapping[str, Sequence[int]]
) -> dict[str, Ids]:
    pair = memory.card.pair
    texts = {"question": memory.card.question_ids, "answer": memory.card.answer_ids}
    for text, source in (("counterfactual", counterfactual), ("other", other)):
        if pair in source:
            texts[text] = tuple(map(int, source[pair]))
    return texts


def _per_vector(memories: Sequence[Memory], stored: Sequence[float]) -> dict[str, Any]:
    counts = {len(memory.vectors) for memory in memories}
    pairs = [
        {
            "pair": memory.card.pair,
            "bits": bits,
            "question_tokens": len(memory.card.question_ids),
            "answer_tokens": len(memory.card.answer_ids),
        }
        for memory, bits in zip(memories, stored, strict=True)
    ]
    each = [bits / len(memory.vectors) for memory, bits in zip(memories, stored, strict=True)]
    return {
        "bits_per_vector": estimate(each),
        "vectors": counts.pop() if len(counts) == 1 else None,
        "pairs": pairs,
    }
