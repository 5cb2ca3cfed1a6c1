"""What memories give away besides what they are asked, in bits, and how many bits their vectors hold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.errors import ConfigError
from trimtab.evidence import t_interval
from trimtab.memory.analysis.shared import one_a_pair, setting
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import Candidate, Look, measure, unseen
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
    look: Look = unseen,
) -> dict[str, Any]:
    """The content of `leaks.json`. `look` is called between blocks of work.

    `bits`: for each text (the question, the answer, a counterfactual answer, another pair's answer) under the memory in each
    mode, or [c] alone ("none"), NLL of the whole text, end token included, minus the prior's, in bits: the mean over pairs
    with its 95% t interval (None where it has no ends). Below 0 the memory makes the text likelier. The prior is the model's
    own NLL of the same text, no vectors and no mode, after that one of the tokens that may begin a text (`start_tokens`, and
    `starts`) after which it is likeliest: so what the model knew before is not counted as recall, and a chat model is not held
    to the token that begins a turn. `prior` has its mean bits by text.

    `per_vector`: bits stored = prior − NLL under the memory, each side in its own mode, both summed; of each memory, with the
    tokens of its sides, and a vector's share as a mean with its interval.

    `counterfactual` and `other` give token ids with the end token last by the name of the pair; a pair that one lacks is not in
    that text's mean, and a text that no pair has is left out. Of several memories of one pair the first counts.

    Raises:
        ValueError: there is no memory, or they are of different runs.
        ConfigError: the model has no such token and none is given.
    """
    memories = one_a_pair(memories)
    modes, layout = setting(memories)
    texts = [_texts(memory, counterfactual, other) for memory in memories]
    asked: list[Candidate] = []
    priors: list[Candidate] = []
    begins = [
        network.embedding[[token]] for token in dict.fromkeys((*starts, *start_tokens(network, needed=not starts)))
    ]
    for memory, own in zip(memories, texts, strict=True):
        for ids in own.values():
            asked.append((memory.vectors, [Branch(mode, ids) for mode in MODES.values()]))
            priors += [(begin, [Branch(None, ids)]) for begin in begins]
    every = len(asked) + len(priors)
    under = iter(measure(network, modes, asked, layout, positions, lambda done, _: look(done, every)))
    rest = measure(network, modes, priors, "two_sequences", positions, lambda done, _: look(len(asked) + done, every))
    before = iter(rest)
    found: dict[str, dict[str, list[float]]] = {text: {mode: [] for mode in MODES} for text in TEXTS}
    prior: dict[str, list[float]] = {text: [] for text in TEXTS}
    stored: list[float] = []
    for own in texts:
        apart = {}
        for text in own:
            least = min(next(before).nll[0] for _ in begins) / math.log(2)
            prior[text].append(least)
            for mode, nll in zip(MODES, next(under).nll, strict=True):
                apart[text, mode] = nll / math.log(2) - least
                found[text][mode].append(apart[text, mode])
        stored.append(-apart["question", "question"] - apart["answer", "answer"])
    measured = [text for text in TEXTS if prior[text]]
    return {
        "bits": {text: {mode: estimate(values) for mode, values in found[text].items()} for text in measured},
        "prior": {text: estimate(prior[text]) for text in measured},
        "per_vector": _per_vector(memories, stored),
    }


def start_tokens(network: FrozenNetwork, *, needed: bool = True) -> tuple[int, ...]:
    """The tokens that a model's config says begin or end a text, or fill one up: after any of them a text may begin.

    Raises:
        ConfigError: its config names none, and one is needed.
    """
    found: list[int] = []
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        token = getattr(network.network.config, name, None)
        listed = token if isinstance(token, list) else [token]
        found += [one for one in listed if type(one) is int and 0 <= one < len(network.embedding)]
    if needed and not found:
        raise ConfigError(
            f"model: the config of {network.name} names no bos_token_id, eos_token_id or pad_token_id of its "
            "vocabulary, so there is no token after which the model's prior for a text could be measured. Name one of "
            "them in its config.json."
        )
    return tuple(dict.fromkeys(found))


def estimate(values: Sequence[float]) -> dict[str, float | None]:
    """A mean with its 95% t interval, None in place of ends that are not finite."""
    found = t_interval(values)
    low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
    return {"mean": found.mean, "low": low, "high": high}


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
