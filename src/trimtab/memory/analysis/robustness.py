"""Robustness: which memories still give both texts after their vectors are disturbed.

A memory passes if greedy decoding of both sides gives exactly the target tokens, the end token included. Most cases are decided
without decoding, by one teacher-forced pass over many variants: *greedy decoding gives the target if and only if every target
token, predicted from the target's own tokens before it, has a logit margin above 0.* Proof by induction over the tokens: both
predict the first token from the same prompt. If the first t decoded tokens are the target's, both predict token t + 1 from the
same input, so decoding gives the target's token if its margin is above 0, and gives another if it is below 0. (A margin of
exactly 0 is a tie and counts as a failure.) The end token occurs only at the end of a target, so decoding stops there too.

This holds in exact arithmetic. In bf16, logits depend slightly on what is computed together, so variants whose smallest margin is
near 0 are decoded, and so is a random sample of the others as a check; the report says how often these decodes disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trimtab.memory.analysis.disturbances import Disturbance, disturb, disturbances
from trimtab.memory.analysis.shared import shared_modes_and_layout
from trimtab.memory.engine.decoding import greedy_decode, prompt_vectors
from trimtab.memory.engine.losses import Progress, losses_under_vectors, no_progress
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.store import Memory
from trimtab.random import derive_seed

DOUBTFUL = 0.25
"""Variants whose smallest margin is closer to 0 than this are decoded (for a logit between 16 and 32, bf16 has steps of
0.125)."""

_BLOCK = 16
"""Memories whose variants are in memory at once."""
_DECODED = 16
"""Variants that are decoded at once, in each mode."""


@dataclass(frozen=True)
class _Trial:
    memory: Memory
    disturbance: Disturbance
    seed: int

    @property
    def vectors(self) -> Tensor:
        return disturb(self.memory.vectors, self.disturbance, self.seed, self.memory.card.pair)


def robustness(
    network_bf16: FrozenNetwork | None,
    network_fp32: FrozenNetwork | None,
    memories: Sequence[Memory],
    seed: int,
    draws: int = 3,
    *,
    verified: int = 64,
    positions: int = 1024,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """The rows of `robustness.jsonl`: one for each memory, disturbance, level and draw.

    Noise and quantisation are measured in bf16, or in fp32 without a bf16 network; "bf16" and "fp32" rows are undisturbed
    vectors, for the networks given. Besides what the report reads, a row has `lowest`, the smallest margin over both sides'
    tokens, and `decoded`, whether greedy decoding decided rather than the margins: it does for all doubtful variants and for
    `verified` random ones in each precision. `progress` is called between blocks of work.

    Raises:
        ValueError: there is no network, one has the wrong precision, or the memories are from different runs.
    """
    if network_bf16 is not None and network_bf16.dtype != torch.bfloat16:
        raise ValueError(f"`network_bf16` should be bfloat16; found {network_bf16.dtype}")
    if network_fp32 is not None and network_fp32.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"`network_fp32` should be float32 or float64; found {network_fp32.dtype}")
    network = network_bf16 or network_fp32
    if network is None:
        raise ValueError("there is no network to measure robustness with")
    kinds = [*disturbances(draws), *([Disturbance("bf16")] if network_bf16 is not None else [])]
    rows = _rows(network, memories, kinds, seed, verified, positions, progress)
    if network_fp32 is not None:
        rows += _rows(network_fp32, memories, [Disturbance("fp32")], seed, verified, positions, progress)
    places = {memory.card.pair: place for place, memory in reversed([*enumerate(memories)])}
    return sorted(rows, key=lambda row: places[row["pair"]])  # stable: a memory's rows keep their order


def _rows(
    network: FrozenNetwork,
    memories: Sequence[Memory],
    kinds: Sequence[Disturbance],
    seed: int,
    verified: int,
    positions: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    modes, layout = shared_modes_and_layout(memories)
    trials: list[_Trial] = []
    margins: list[tuple[float, ...]] = []
    for start in range(0, len(memories), _BLOCK):
        progress(start, len(memories))
        block = [_Trial(memory, kind, seed) for memory in memories[start : start + _BLOCK] for kind in kinds]
        candidates = [(trial.vectors, trial.memory.branches) for trial in block]
        margins += [losses.margins for losses in losses_under_vectors(network, modes, candidates, layout, positions)]
        trials += block
    exact = [tuple(margin > 0 for margin in own) for own in margins]
    generator = torch.Generator().manual_seed(derive_seed(seed, "robustness", "verified"))
    decoded = set(torch.randperm(len(trials), generator=generator)[:verified].tolist())
    decoded |= {index for index, own in enumerate(margins) if abs(min(own)) < DOUBTFUL}
    exact_decodes = _decode(network, {index: trials[index] for index in sorted(decoded)}, progress)
    rows = []
    for index, trial in enumerate(trials):
        question, answer = exact_decodes.get(index, exact[index])
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
                "decoded": index in decoded,
            }
        )
    return rows


def _decode(network: FrozenNetwork, trials: dict[int, _Trial], progress: Progress) -> dict[int, tuple[bool, bool]]:
    """Whether each trial's decode is the target, for both sides; trials of similar length are decoded together."""
    order = sorted(trials, key=lambda index: _longest(trials[index]))
    result: dict[int, tuple[bool, bool]] = {}
    for start in range(0, len(order), _DECODED):
        progress(start, len(order))
        batch = order[start : start + _DECODED]
        sides: list[list[bool]] = []
        for side in range(2):
            memories = [trials[index].memory for index in batch]
            targets = [memory.branches[side].ids for memory in memories]
            prompts = [
                prompt_vectors(memory.modes[side], trials[index].vectors, memory.card.layout)
                for index, memory in zip(batch, memories, strict=True)
            ]
            outputs = greedy_decode(network, prompts, max(map(len, targets)), targets[0][-1:])
            sides.append([one == target for one, target in zip(outputs, targets, strict=True)])
        result.update(zip(batch, zip(*sides, strict=True), strict=True))
    return result


def _longest(trial: _Trial) -> int:
    return max(len(branch.ids) for branch in trial.memory.branches)
