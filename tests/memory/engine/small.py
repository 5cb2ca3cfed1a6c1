"""Small frozen networks, and target pairs for them."""

from pathlib import Path
from typing import Any

import torch

from tests.models.pretrained import folders
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import PairTargets

KINDS = folders.KINDS


def network(folder: Path, kind: str, dtype: torch.dtype = torch.float64, **options: Any) -> FrozenNetwork:
    return FrozenNetwork(path=str(folders.write(folder / kind, kind, **options)), dtype=dtype)


def modes(net: FrozenNetwork, rows: tuple[int, int] = (1, 1)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    first, second = (torch.randn(n, net.width, generator=generator) * net.scale for n in rows)
    return first.to(net.dtype), second.to(net.dtype)


def branches(*lengths: int, seed: int = 0) -> tuple[Branch, ...]:
    """Random targets of these lengths, alternately questions and answers; from the third on paraphrases of less weight."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        Branch(
            number % 2,
            tuple(torch.randint(3, folders.VOCABULARY, (length,), generator=generator).tolist()),
            1.0 if number < 2 else 0.3,
            judged=number < 2,
        )
        for number, length in enumerate(lengths)
    )


PAIRS = [
    PairTargets(f"pair-{index}", branches(*lengths, seed=index))
    for index, lengths in enumerate([(5, 2), (9, 1), (3, 7), (5, 3), (1, 1), (8, 2, 6, 3)])
]
"""Pairs of different lengths, the last one with paraphrases."""
