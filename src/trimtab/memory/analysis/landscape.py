"""The loss around memories: lines and a plane through them, how wide their basins are, and the way between two restarts.

Every offset is a share of a memory's norm. A random direction is Gaussian and has, in every vector, the norm of the memory's
own (so that no vector is moved more than another for its size; Li et al. 2018 do the same by filter): an offset of 0.05 is the 5%
noise of `robustness`. The direction of the gradient has the norm of the whole memory, and points uphill.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.memory.analysis.disturbing import directions
from trimtab.memory.analysis.shared import one_a_pair, setting
from trimtab.memory.engine.layout import segments
from trimtab.memory.engine.losses import Look, Measured, measure, unseen
from trimtab.memory.engine.network import FrozenNetwork, vector_gradient
from trimtab.memory.engine.packing import pack
from trimtab.memory.store import Memory
from trimtab.random import derive_seed

DISTANCES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
LINE = (*(-distance for distance in reversed(DISTANCES)), 0.0, *DISTANCES)
"""The offsets of a line."""
PLANE = tuple(float(offset) for offset in np.linspace(-1.0, 1.0, 17))
"""The offsets of a plane, along either direction."""
WAY = tuple(float(position) for position in np.linspace(0.0, 1.0, 21))
"""The positions on a way."""

RISE = math.log(2)
"""The width of a basin is the distance at which the loss has risen by this many nats a token: a token's probability halved, in
the geometric mean."""


def landscape(
    network: FrozenNetwork,
    memories: Sequence[Memory],
    couples: Sequence[tuple[Memory, Memory]],
    seed: int,
    *,
    lined: int = 6,
    widths: int = 40,
    random_directions: int = 2,
    positions: int = 1024,
    look: Look = unseen,
) -> dict[str, Any]:
    """The content of `landscape.json`; `look` is called between memories. A loss of both sides is the mean of the
    question's and the answer's, in nats a token.

    `lines`: both sides' losses along random directions (`direction` 0, 1, ...) and along the gradient ("gradient") of the first
    `lined` pairs' memories. `plane`: the loss of the first memory over its first two random directions. `widths`: of the first
    `widths` pairs' memories, see `width`; their random directions are those of the lines. `rise`: what the loss rises by within a
    width. `paths`: the loss on the straight way between the two memories of each of the `couples`, two restarts of one pair each.

    Raises:
        ValueError: there is no memory, they are of different runs, or a couple is of different pairs or sizes.
    """
    setting([*memories, *(memory for couple in couples for memory in couple)])
    memories = one_a_pair(memories)
    lines: list[dict[str, Any]] = []
    basins = []
    looked_at = memories[: max(lined, widths)]
    for place, memory in enumerate(looked_at):
        look(place, len(looked_at))
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
        "paths": [path(network, one, other, positions) for one, other in couples],
        "widths": basins,
        "rise": RISE,
    }


def width(lines: Sequence[dict[str, Any]]) -> float | None:
    """The distance at which the loss of both sides, in the mean over the half-lines of one memory, is `RISE` above that of the
    memory itself; linear between the distances that were measured, None where it is not reached at 1."""
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
    """The losses on the straight way from one memory's vectors to those of another restart of its pair.

    Raises:
        ValueError: they are of different pairs, or have different numbers of vectors.
    """
    if one.branches != other.branches or one.vectors.shape != other.vectors.shape:
        raise ValueError(
            f"there is no way between memories of {one.card.pair} and {other.card.pair}: their texts or their numbers of vectors "
            "differ"
        )
    found = _losses(network, one, [torch.lerp(one.vectors, other.vectors, at) for at in WAY], positions)
    return {
        "pair": one.card.pair,
        "restarts": [one.card.restart, other.card.restart],
        "positions": list(WAY),
        "loss": _both(found),
    }


def gradient(network: FrozenNetwork, memory: Memory) -> Float[Tensor, "k d"]:
    """The gradient, on a memory's vectors, of the sum of both sides' mean NLL."""
    count = len(memory.vectors)
    modes = memory.modes
    own = segments(memory.branches, count, (len(modes[0]), len(modes[1])), memory.card.layout)
    packing = pack([own], count, network.device)
    stacked = memory.vectors.to(network.device)[None]
    _, pulled = network.differentiated(packing, torch.cat(modes).to(network.device), stacked)
    return vector_gradient(packing, pulled, stacked.shape)[0]


def _direction(memory: Memory, seed: int, number: int) -> Tensor:
    return directions(memory.vectors, derive_seed(seed, "landscape", memory.card.pair, number))


def _uphill(network: FrozenNetwork, memory: Memory) -> Tensor | None:
    """The gradient at the memory's norm; None where it has no direction, so flat is the loss there."""
    found = gradient(network, memory).to(memory.vectors)
    size = float(found.norm())
    return found * (float(memory.vectors.norm()) / size) if 0 < size < math.inf else None


def _line(network: FrozenNetwork, memory: Memory, name: int | str, direction: Tensor, positions: int) -> dict[str, Any]:
    found = _losses(network, memory, [memory.vectors + direction * offset for offset in LINE], positions)
    return {
        "pair": memory.card.pair,
        "direction": name,
        "offsets": list(LINE),
        "question": [one.losses[0] for one in found],
        "answer": [one.losses[1] for one in found],
    }


def _plane(network: FrozenNetwork, memory: Memory, seed: int, positions: int) -> dict[str, Any]:
    along, across = (_direction(memory, seed, number) for number in range(2))
    places = [memory.vectors + along * row + across * column for row in PLANE for column in PLANE]
    loss = np.array(_both(_losses(network, memory, places, positions))).reshape(len(PLANE), len(PLANE))
    return {"pair": memory.card.pair, "offsets": list(PLANE), "loss": loss.tolist()}


def _losses(network: FrozenNetwork, memory: Memory, variants: Sequence[Tensor], positions: int) -> list[Measured]:
    candidates = [(vectors, memory.branches) for vectors in variants]
    return measure(network, memory.modes, candidates, memory.card.layout, positions)


def _both(found: Sequence[Measured]) -> list[float]:
    return [sum(one.losses) / 2 for one in found]
