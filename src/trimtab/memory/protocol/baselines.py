"""Losses of pairs without a memory and with the wrong one: the controls for a result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.data.tokenizers import Tokenizer
from trimtab.memory.analysis.shared import neighbours
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import Look, Modes, measure, unseen
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import Settings
from trimtab.memory.pairs import EncodedPair
from trimtab.memory.protocol.solving import SIDES, Bounds
from trimtab.memory.store import Memory
from trimtab.random import derive_seed

DRAWS = 4
"""Random vectors, and random tokens, of every pair; their mean is the baseline."""

BEFORE_QUESTION = ("Answer: ", "\nQuestion: ")
"""What stands around the answer where the question is asked for in full context."""


def branches_of(pair: EncodedPair) -> tuple[Branch, Branch]:
    """The question and the answer of a pair as targets."""
    return Branch(0, tuple(pair.question.tolist())), Branch(1, tuple(pair.answer.tolist()))


def baseline_rows(
    network: FrozenNetwork,
    modes: Modes,
    pairs: Sequence[EncodedPair],
    tokenizer: Tokenizer,
    settings: Settings,
    look: Look = unseen,
) -> list[dict[str, Any]]:
    """A row a pair: mean NLL in nats a token, of question and answer, under random vectors at the embedding's scale, under the
    embedding of a random token, and in full context.

    Full context is the answer after the question's own tokens, and the question after the answer in a template: the latter's
    wording is ours, so that figure depends on it.
    """
    asked: list[tuple[Tensor, Sequence[Branch]]] = []
    for pair in pairs:
        both = branches_of(pair)
        for draw in range(DRAWS):
            generator = torch.Generator().manual_seed(derive_seed(settings.seed, "memory baseline", pair.pair.id, draw))
            drawn = torch.randn(settings.vectors, network.width, generator=generator) * network.scale
            token = int(torch.randint(len(network.embedding), (), generator=generator))
            asked += [(drawn, both), (network.embedding[token : token + 1].float(), both)]
        question, answer = (list(side[:-1]) for side in (pair.question.tolist(), pair.answer.tolist()))
        before, after = ([int(token) for token in tokenizer.encode(text)] for text in BEFORE_QUESTION)
        asked.append((_embedded(network, before + answer + after), [_plain(both[0])]))
        asked.append((_embedded(network, question), [_plain(both[1])]))
    found = iter(measure(network, modes, asked, settings.layout, settings.positions, look))
    return [{"pair": pair.pair.id, **_row(found)} for pair in pairs]


def bounds_of(row: Mapping[str, Any]) -> Bounds:
    """The bounds for a pair's losses, from its row of baselines."""
    return Bounds(random=row["random"], context=row["context"])


def _row(found: Iterator[Any]) -> dict[str, Any]:
    random: list[tuple[float, ...]] = []
    tokens: list[tuple[float, ...]] = []
    for _ in range(DRAWS):
        random.append(next(found).losses)
        tokens.append(next(found).losses)
    context = (next(found).losses[0], next(found).losses[0])
    return {
        "random": _sides([sum(values) / DRAWS for values in zip(*random, strict=True)]),
        "random_token": _sides([sum(values) / DRAWS for values in zip(*tokens, strict=True)]),
        "context": _sides(context),
    }


def control_rows(
    network: FrozenNetwork, memories: Sequence[Memory], positions: int, look: Look = unseen
) -> list[dict[str, Any]]:
    """A row a memory: its pair under another memory's vectors (of other texts: `neighbours`), and under its own with the modes
    exchanged; None in place of the former where there is no such memory.

    `*_exact` is whether greedy decoding, which says the target's tokens while each of them leads, would say the target.
    """
    rows = []
    for place, (memory, neighbour) in enumerate(zip(memories, neighbours(memories), strict=True)):
        look(place, len(memories))
        other = neighbour or memory
        question, answer = memory.branches
        swapped = Branch(1, question.ids), Branch(0, answer.ids)
        asked = [(other.vectors, (question, answer)), (memory.vectors, swapped)]
        under_other, under_swapped = measure(network, memory.modes, asked, memory.card.layout, positions)
        row: dict[str, Any] = {"pair": memory.card.pair}
        for name, found in (("other", under_other), ("swapped", under_swapped)):
            exact = {f"{side}_exact": margin > 0 for side, margin in zip(SIDES, found.margins, strict=True)}
            row[name] = None if name == "other" and neighbour is None else {**_sides(found.losses), **exact}
        rows.append(row)
    return rows


def _sides(values: Sequence[float]) -> dict[str, float]:
    return {side: float(value) for side, value in zip(SIDES, values, strict=True)}


def _plain(branch: Branch) -> Branch:
    return Branch(None, branch.ids)


def _embedded(network: FrozenNetwork, tokens: Sequence[int]) -> Float[Tensor, "tokens d"]:
    return network.embedding[torch.tensor(tokens, device=network.device)].float()
