"""Which memories still make the model say both texts after their vectors were disturbed.

A memory passes when the fresh greedy decode of both sides is the target, token by token with the end token. That is decided
without decoding, for many variants at once: *given the target's own tokens before it, every target token beats all others
(its logit margin is above 0) if and only if the greedy decode is the target.* By induction over the tokens: the first token
is predicted from the opening alone in both. If the decode has said the target's first t tokens, it reads what the
teacher-forced pass reads at t + 1, so it says the target's token there if its margin is above 0, and only if it is not below.
(At a margin of exactly 0 two tokens tie; that counts as wrong here.) The end token is the last of a target and in no other
place of it, so the decode stops where the target does. Hence all margins above 0 give an exact decode; and a margin below 0
makes the decode part from the target there at the latest.

This is exact in exact arithmetic. In bf16, logits depend a little on what is computed together, so variants whose smallest
margin is near 0 are decoded all the same, and so is a random sample of the others, to check it; the report tells how often
these decodes say otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trimtab.memory.analysis.disturbing import Disturbance, disturbances, disturbed
from trimtab.memory.analysis.shared import setting
from trimtab.memory.engine.decoding import opening, say
from trimtab.memory.engine.losses import Look, measure, unseen
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.store import Memory
from trimtab.random import derive_seed

DOUBTFUL = 0.25
"""A smallest margin nearer to 0 than this is not trusted, and the variant is decoded (one step of bf16 is 0.125 for a logit
between 16 and 32)."""

_BLOCK = 16
"""Memories whose variants are held at once."""
_DECODED = 16
"""Variants that are decoded at once, in each of two modes."""


@dataclass(frozen=True)
class _Trial:
    memory: Memory
    disturbance: Disturbance
    seed: int

    @property
    def vectors(self) -> Tensor:
        return disturbed(self.memory.vectors, self.disturbance, self.seed, self.memory.card.pair)


def robustness(
    network_bf16: FrozenNetwork | None,
    network_fp32: FrozenNetwork | None,
    memories: Sequence[Memory],
    seed: int,
    draws: int = 3,
    *,
    verified: int = 64,
    positions: int = 1024,
    look: Look = unseen,
) -> list[dict[str, Any]]:
    """The rows of `robustness.jsonl`: one for each memory, disturbance, level and draw.

    Noise and roundings are measured in bf16, or in fp32 without a bf16 network; bf16 and fp32 rows are of the vectors as they
    are, in the networks there are. Besides what the report reads, a row has `lowest`, the smallest margin of both sides'
    tokens under the disturbance, and `decoded`, whether a fresh greedy decode decided (of all that are doubtful, and of
    `verified` drawn ones in each precision) or the margins did. `look` is called between blocks of work.

    Raises:
        ValueError: no network, one of another precision than its name, or memories of different runs.
    """
    if network_bf16 is not None and network_bf16.dtype != torch.bfloat16:
        raise ValueError(f"the network for bf16 is in {network_bf16.dtype}")
    if network_fp32 is not None and network_fp32.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the network for fp32 is in {network_fp32.dtype}")
    network = network_bf16 or network_fp32
    if network is None:
        raise ValueError("there is no network to measure robustness with")
    kinds = [*disturbances(draws), *([Disturbance("bf16")] if network_bf16 is not None else [])]
    rows = _rows(network, memories, kinds, seed, verified, positions, look)
    if network_fp32 is not None:
        rows += _rows(network_fp32, memories, [Disturbance("fp32")], seed, verified, positions, look)
    places = {memory.card.pair: place for place, memory in reversed([*enumerate(memories)])}
    return sorted(rows, key=lambda row: places[row["pair"]])  # stable: a memory's rows keep their order


def _rows(
    network: FrozenNetwork,
    memories: Sequence[Memory],
    kinds: Sequence[Disturbance],
    seed: int,
    verified: int,
    positions: int,
    look: Look,
) -> list[dict[str, Any]]:
    modes, layout = setting(memories)
    trials: list[_Trial] = []
    margins: list[tuple[float, ...]] = []
    for start in range(0, len(memories), _BLOCK):
        look(start, len(memories))
        block = [_Trial(memory, kind, seed) for memory in memories[start : start + _BLOCK] for kind in kinds]
        candidates = [(trial.vectors, trial.memory.branches) for trial in block]
        margins += [found.margins for found in measure(network, modes, candidates, layout, positions)]
        trials += block
    exact = [tuple(margin > 0 for margin in own) for own in margins]
    generator = torch.Generator().manual_seed(derive_seed(seed, "robustness", "verified"))
    asked = set(torch.randperm(len(trials), generator=generator)[:verified].tolist())
    asked |= {index for index, own in enumerate(margins) if abs(min(own)) < DOUBTFUL}
    said = _said(network, {index: trials[index] for index in sorted(asked)}, look)
    rows = []
    for index, trial in enumerate(trials):
        question, answer = said.get(index, exact[index])
        rows.append(
            {
                "pair": trial.memory.card.pair,
                "margin": trial.memory.card.margin,
                "disturbance": trial.disturbance.kind,
                "level": trial.disturbance.level,
                "draw": trial.disturbance.draw,
                "passed": question and answer,
                "question_exact": question,
                "answer_exact": answer,
                "lowest": min(margins[index]),
                "decoded": index in said,
            }
        )
    return rows


def _said(network: FrozenNetwork, trials: dict[int, _Trial], look: Look) -> dict[int, tuple[bool, bool]]:
    """Whether each trial's decode is the target, on both sides; trials of like length are decoded together."""
    order = sorted(trials, key=lambda index: _longest(trials[index]))
    found: dict[int, tuple[bool, bool]] = {}
    for start in range(0, len(order), _DECODED):
        look(start, len(order))
        part = order[start : start + _DECODED]
        sides: list[list[bool]] = []
        for side in range(2):
            memories = [trials[index].memory for index in part]
            targets = [memory.branches[side].ids for memory in memories]
            openings = [
                opening(memory.modes[side], trials[index].vectors, memory.card.layout)
                for index, memory in zip(part, memories, strict=True)
            ]
            told = say(network, openings, max(map(len, targets)), targets[0][-1:])
            sides.append([one == target for one, target in zip(told, targets, strict=True)])
        found.update(zip(part, zip(*sides, strict=True), strict=True))
    return found


def _longest(trial: _Trial) -> int:
    return max(len(branch.ids) for branch in trial.memory.branches)
