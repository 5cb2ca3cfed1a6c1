"""Baselines and controls: losses of pairs without a memory, and with the wrong one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.data.tokenizers import Tokenizer
from trimtab.memory.analysis.shared import neighbours
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import Modes, Progress, Variant, VectorLosses, losses_under_vectors, no_progress
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import SolverSettings
from trimtab.memory.pairs import EncodedPair
from trimtab.memory.protocol.candidates import SIDES, LossBounds
from trimtab.memory.store import Memory
from trimtab.random import derive_seed

DRAWS = 4
"""Number of random vectors, and of random tokens, per pair; the baseline is their mean."""

QUESTION_TEMPLATE = ("Answer: ", "\nQuestion: ")
"""The text before and after the answer where the question is predicted in full context."""


def branches_of(pair: EncodedPair) -> tuple[Branch, Branch]:
    """The question and the answer of a pair as branches."""
    return Branch(0, tuple(pair.question.tolist())), Branch(1, tuple(pair.answer.tolist()))


def baseline_rows(
    network: FrozenNetwork,
    modes: Modes,
    pairs: Sequence[EncodedPair],
    tokenizer: Tokenizer,
    settings: SolverSettings,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """One row per pair: the mean NLL of question and answer in nats per token, in three situations.

    Under random vectors at the embedding's scale; under the embedding of a random token; and in full context, which is the answer
    after the question's tokens, and the question after the answer in `QUESTION_TEMPLATE`. The last value depends on the wording
    of this template.
    """
    variants: list[Variant] = []
    for pair in pairs:
        both = branches_of(pair)
        for draw in range(DRAWS):
            generator = torch.Generator().manual_seed(derive_seed(settings.seed, "memory baseline", pair.pair.id, draw))
            drawn = torch.randn(settings.vectors, network.width, generator=generator) * network.scale
            token = int(torch.randint(len(network.embedding), (), generator=generator))
            variants += [(drawn, both), (network.embedding[token : token + 1].float(), both)]
        question, answer = (list(side[:-1]) for side in (pair.question.tolist(), pair.answer.tolist()))
        before, after = ([int(token) for token in tokenizer.encode(text)] for text in QUESTION_TEMPLATE)
        variants.append((_embedded(network, before + answer + after), [_without_mode(both[0])]))
        variants.append((_embedded(network, question), [_without_mode(both[1])]))
    losses = iter(losses_under_vectors(network, modes, variants, settings.layout, settings.positions, progress))
    return [{"pair": pair.pair.id, **_row(losses)} for pair in pairs]


def bounds_of(row: Mapping[str, Any]) -> LossBounds:
    """The bounds on a pair's losses, from its row of baselines."""
    return LossBounds(random=row["random"], context=row["context"])


def _row(losses: Iterator[VectorLosses]) -> dict[str, Any]:
    random: list[tuple[float, ...]] = []
    tokens: list[tuple[float, ...]] = []
    for _ in range(DRAWS):
        random.append(next(losses).losses)
        tokens.append(next(losses).losses)
    context = (next(losses).losses[0], next(losses).losses[0])
    return {
        "random": _sides([sum(values) / DRAWS for values in zip(*random, strict=True)]),
        "random_token": _sides([sum(values) / DRAWS for values in zip(*tokens, strict=True)]),
        "context": _sides(context),
    }


def control_rows(
    network: FrozenNetwork, memories: Sequence[Memory], positions: int, progress: Progress = no_progress
) -> list[dict[str, Any]]:
    """One row per memory: the losses of its pair under another memory's vectors, and under its own with the modes exchanged.

    The other memory has other texts (see `neighbours`); its entry is None if there is no such memory. `*_exact` says whether
    greedy decoding would give the target, that is, whether all of its margins are above 0.
    """
    rows = []
    for place, (memory, neighbour) in enumerate(zip(memories, neighbours(memories), strict=True)):
        progress(place, len(memories))
        other = neighbour or memory
        question, answer = memory.branches
        swapped = Branch(1, question.ids), Branch(0, answer.ids)
        variants: list[Variant] = [(other.vectors, (question, answer)), (memory.vectors, swapped)]
        under_other, under_swapped = losses_under_vectors(
            network, memory.modes, variants, memory.card.layout, positions
        )
        row: dict[str, Any] = {"pair": memory.card.pair}
        for name, losses in (("other", under_other), ("swapped", under_swapped)):
            exact = {f"{side}_exact": margin > 0 for side, margin in zip(SIDES, losses.margins, strict=True)}
            row[name] = None if name == "other" and neighbour is None else {**_sides(losses.losses), **exact}
        rows.append(row)
    return rows


def _sides(values: Sequence[float]) -> dict[str, float]:
    return {side: float(value) for side, value in zip(SIDES, values, strict=True)}


def _without_mode(branch: Branch) -> Branch:
    return Branch(None, branch.ids)


def _embedded(network: FrozenNetwork, tokens: Sequence[int]) -> Float[Tensor, "tokens d"]:
    return network.embedding[torch.tensor(tokens, device=network.device)].float()
