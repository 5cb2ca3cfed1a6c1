"""Memories of a small random network."""

from functools import cache
from pathlib import Path

import torch

from tests.memory.engine import small
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import FinishedCandidate, PairTargets, Solver, SolverSettings
from trimtab.memory.store import Card, Memory

END = 2
LENGTHS = ((3, 2), (2, 3), (2, 2), (4, 1), (1, 3), (2, 1))
"""Numbers of tokens of question and answer, end token included."""


def targets(index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    question, answer = LENGTHS[index]
    drawn = torch.randint(3, 61, (question + answer,), generator=torch.Generator().manual_seed(index)).tolist()
    return (*drawn[: question - 1], END), (*drawn[question : question + answer - 1], END)


def text(index: int) -> tuple[int, ...]:
    """A text that no memory stores."""
    return (*torch.randint(3, 61, (3,), generator=torch.Generator().manual_seed(100 + index)).tolist(), END)


@cache
def memories(
    folder: Path, layout: str = "two_sequences", restarts: int = 1, margin: float = 0.3
) -> tuple[FrozenNetwork, list[Memory]]:
    """The network in fp64, and its memories: one for every pair and restart that could be solved."""
    net = small.network(folder, "llama")
    solved = [one for restart in range(restarts) for one in solve(net, layout, restart, margin)]
    return net, sorted(solved, key=lambda memory: memory.card.pair)


def solve(net: FrozenNetwork, layout: str, seed: int, margin: float) -> list[Memory]:
    settings = SolverSettings(vectors=8, layout=layout, steps=150, restarts=1, margin=margin, lr=0.3, seed=seed)
    pairs = [
        PairTargets(f"pair-{i}", tuple(Branch(mode, ids) for mode, ids in enumerate(targets(i))))
        for i in range(len(LENGTHS))
    ]
    finished = [one for step in Solver(net, small.modes(net), pairs, settings).run() for one in step.finished]
    return [memory(net, one, layout, seed) for one in finished if one.status == "solved"]


def memory(net: FrozenNetwork, one: FinishedCandidate, layout: str, restart: int) -> Memory:
    question, answer = targets(int(one.pair[-1]))
    card = Card(
        pair=one.pair, question="", answer="", question_ids=question, answer_ids=answer, exact=False, model_fingerprint="",
        vectors=len(one.vectors), layout=layout, precision="fp32", seed=0, restart=restart, steps=one.steps, margin=one.margin,
        loss=dict(zip(("question", "answer"), one.losses[-1].tolist(), strict=True)),
    )  # fmt: skip
    return Memory(card, one.vectors, small.modes(net))
