"""The loss landscape around memories: along lines and a plane, the width of basins, and the path between two restarts.

Offsets are relative to a memory's norm. A random direction is Gaussian, scaled so that each of its vectors has the norm of the
memory's vector (as Li et al. 2018 do per filter), so an offset of 0.05 is the 5% noise of `robustness`. The gradient direction is
scaled to the norm of the whole memory and points uphill.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.memory.analysis.disturbances import gaussian_directions
from trimtab.memory.analysis.shared import one_per_pair, shared_modes_and_layout
from trimtab.memory.engine.layout import segments
from trimtab.memory.engine.losses import Progress, VectorLosses, losses_under_vectors, no_progress
from trimtab.memory.engine.network import FrozenNetwork, vector_gradient
from trimtab.memory.engine.packing import pack
from trimtab.memory.store import Memory
from trimtab.random import derive_seed

DISTANCES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
LINE = (*(-distance for distance in reversed(DISTANCES)), 0.0, *DISTANCES)
"""Offsets along a line."""
PLANE = tuple(float(offset) for offset in np.linspace(-1.0, 1.0, 17))
"""Offsets in a plane, along both directions."""
PATH = tuple(float(position) for position in np.linspace(0.0, 1.0, 21))
"""Positions on a path, from 0 to 1."""

RISE = math.log(2)
"""Nats per token by which the loss rises within the width of a basin: the geometric mean of token probabilities halves."""


def landscape(
    network: FrozenNetwork,
    memories: Sequence[Memory],
    restarts: Sequence[tuple[Memory, Memory]],
    seed: int,
    *,
    lined: int = 6,
    widths: int = 40,
    random_directions: int = 2,
    positions: int = 1024,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The content of `landscape.json`; `progress` is called between memories.

    Losses are in nats per token; a loss without a side is the mean of the question's and the answer's.

    `lines`: the losses of both sides along random directions (`direction` 0, 1, ...) and along the gradient ("gradient"), for the
    memories of the first `lined` pairs. `plane`: the loss of the first memory over its first two random directions. `widths`: the
    basin `width` of the memories of the first `widths` pairs, on the same random directions. `rise`: the rise of the loss that
    defines a width. `paths`: the loss on the straight line between two memories of one pair, for every two in `restarts`.

    Raises:
        ValueError: there is no memory, the memories are from different runs, or two in `restarts` have different texts or sizes.
    """
    shared_modes_and_layout([*memories, *(memory for both in restarts for memory in both)])
    memories = one_per_pair(memories)
    lines: list[dict[str, Any]] = []
    basins = []
    selected = memories[: max(lined, widths)]
    for place, memory in enumerate(selected):
        progress(place, len(selected))
        own = [
            _line(network, memory, number, _direction(memory, seed, number), positions)
            for number in range(random_directions)
        ]
        if place < widths:
            basins.append({"pair": memory.card.pair, "width": width(own)})
        if place < lined:
            lines += own
            uphill = _uphill(network, memory)
            if uphill is not None:
                lines.append(_line(network, memory, "gradient", uphill, positions))
    return {
        "lines": lines,
        "plane": _plane(network, memories[0], seed, positions),
        "paths": [path(network, one, other, positions) for one, other in restarts],
        "widths": basins,
        "rise": RISE,
    }


def width(lines: Sequence[dict[str, Any]]) -> float | None:
    """The distance at which the loss, averaged over one memory's half-lines, is `RISE` above the memory's own loss.

    Interpolates linearly between the measured distances; None if the loss has not risen that far at distance 1.
    """
    loss = np.mean([np.add(line["question"], line["answer"]) / 2 for line in lines], axis=0)
    middle = len(DISTANCES)
    rising = (loss[middle:] + loss[middle::-1]) / 2 - loss[middle]
    above = np.flatnonzero(rising >= RISE)
    if not above.size:
        return None
    after = int(above[0])
    low, high = rising[after - 1], rising[after]
    ends = (0.0, *DISTANCES)[after - 1 : after + 1]
    return float(ends[0] + (RISE - low) / (high - low) * (ends[1] - ends[0]))


def path(network: FrozenNetwork, one: Memory, other: Memory, positions: int = 1024) -> dict[str, Any]:
    """The losses on the straight line from one memory's vectors to those of another restart of its pair.

    Raises:
        ValueError: they have different texts or different numbers of vectors.
    """
    if one.branches != other.branches or one.vectors.shape != other.vectors.shape:
        raise ValueError(
            f"there is no path between memories of {one.card.pair} and {other.card.pair}: they have different texts or different "
            "numbers of vectors"
        )
    losses = _losses(network, one, [torch.lerp(one.vectors, other.vectors, at) for at in PATH], positions)
    return {
        "pair": one.card.pair,
        "restarts": [one.card.restart, other.card.restart],
        "positions": list(PATH),
        "loss": _mean_of_sides(losses),
    }


def gradient(network: FrozenNetwork, memory: Memory) -> Float[Tensor, "k d"]:
    """The gradient, on a memory's vectors, of the sum of both sides' mean NLL."""
    count = len(memory.vectors)
    modes = memory.modes
    own = segments(memory.branches, count, (len(modes[0]), len(modes[1])), memory.card.layout)
    packing = pack([own], count, network.device)
    stacked = memory.vectors.to(network.device)[None]
    _, on_inputs = network.cost_and_gradient(packing, torch.cat(modes).to(network.device), stacked)
    return vector_gradient(packing, on_inputs, stacked.shape)[0]


def _direction(memory: Memory, seed: int, number: int) -> Tensor:
    return gaussian_directions(memory.vectors, derive_seed(seed, "landscape", memory.card.pair, number))


def _uphill(network: FrozenNetwork, memory: Memory) -> Tensor | None:
    """The gradient scaled to the memory's norm; None if the gradient is 0 or not finite."""
    direction = gradient(network, memory).to(memory.vectors)
    size = float(direction.norm())
    return direction * (float(memory.vectors.norm()) / size) if 0 < size < math.inf else None


def _line(network: FrozenNetwork, memory: Memory, name: int | str, direction: Tensor, positions: int) -> dict[str, Any]:
    losses = _losses(network, memory, [memory.vectors + direction * offset for offset in LINE], positions)
    return {
        "pair": memory.card.pair,
        "direction": name,
        "offsets": list(LINE),
        "question": [one.losses[0] for one in losses],
        "answer": [one.losses[1] for one in losses],
    }


def _plane(network: FrozenNetwork, memory: Memory, seed: int, positions: int) -> dict[str, Any]:
    along, across = (_direction(memory, seed, number) for number in range(2))
    places = [memory.vectors + along * row + across * column for row in PLANE for column in PLANE]
    loss = np.array(_mean_of_sides(_losses(network, memory, places, positions))).reshape(len(PLANE), len(PLANE))
    return {"pair": memory.card.pair, "offsets": list(PLANE), "loss": loss.tolist()}


def _losses(network: FrozenNetwork, memory: Memory, variants: Sequence[Tensor], positions: int) -> list[VectorLosses]:
    requests = [(vectors, memory.branches) for vectors in variants]
    return losses_under_vectors(network, memory.modes, requests, memory.card.layout, positions)


def _mean_of_sides(losses: Sequence[VectorLosses]) -> list[float]:
    return [sum(one.losses) / 2 for one in losses]
