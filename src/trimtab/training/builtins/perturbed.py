"""Perturbed copies of a run: states that differ slightly, trained on the same batches, and how far they diverge."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from trimtab.regimes.instruments import LyapunovExponent, largest_exponent
from trimtab.regimes.instruments.vectors import Tensors, norm, random_vector
from trimtab.runtime.checkpoint import Snapshot
from trimtab.training.loop.excursion import Continuations

_MOMENTS = "state.optimizer."
_SQUARES = frozenset({"exp_avg_sq", "max_exp_avg_sq", "row_var", "col_var", "variance"})
"""Moments that are averages of squares, and so never negative."""


class Coordinates:
    """The parameters and optimiser moments of a run's states, as one vector in pieces.

    Lengths are relative. A block is the parameters, or all moments of one name; its length is divided by the block's length in
    the state that the coordinates were made from. The length of a vector is the root mean square over the blocks, without blocks
    of length 0. Everything else in a state, such as that of a controller, is not a coordinate.
    """

    def __init__(self, state: Snapshot, parameters: list[str]) -> None:
        self.names = [("parameters", "model", name) for name in parameters]
        self.names += [
            (name.rsplit(".", 1)[-1], "optimizer", name)
            for name, tensor in state.optimizer.items()
            if name.startswith(_MOMENTS) and tensor.is_floating_point() and tensor.ndim > 0
        ]
        pieces = self.read(state)
        blocks = dict.fromkeys(block for block, _, _ in self.names)
        lengths = {
            block: norm([piece for piece, (own, _, _) in zip(pieces, self.names, strict=True) if own == block])
            for block in blocks
        }
        counted = sum(length > 0 for length in lengths.values())
        self._scales = [1 / (lengths[block] * counted**0.5) if lengths[block] else 0.0 for block, _, _ in self.names]

    def read(self, state: Snapshot) -> list[Tensor]:
        """A state's coordinates, sharing its tensors."""
        return [getattr(state, group)[name] for _, group, name in self.names]

    def write(self, state: Snapshot, pieces: Tensors) -> Snapshot:
        """The state with other coordinates. Averages of squares are clamped to 0 or above."""
        groups = {"model": dict(state.model), "optimizer": dict(state.optimizer)}
        for (block, group, name), piece in zip(self.names, pieces, strict=True):
            groups[group][name] = piece.clamp(min=0) if block in _SQUARES else piece
        return Snapshot(groups["model"], groups["optimizer"], state.values)

    def length(self, vector: Tensors) -> float:
        """The relative length of the difference of two states."""
        return norm([piece.double() * scale for piece, scale in zip(vector, self._scales, strict=True) if scale])

    def direction(self, state: Snapshot, generator: torch.Generator) -> list[Tensor]:
        """A random direction in which every coordinate changes in proportion to itself, so that zeros stay 0."""
        pieces = self.read(state)
        return [piece * noise for piece, noise in zip(pieces, random_vector(pieces, generator), strict=True)]


def exponent(
    futures: Continuations,
    coordinates: Coordinates,
    direction: Tensors,
    *,
    steps: int,
    epsilon: float,
    every: int,
    discard: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> LyapunovExponent:
    """The largest Lyapunov exponent of training from the start of `futures` (see `largest_exponent`), in nats per step.

    The transition is the trainer's step on the run's own next batches and random draws. `on_step` is called after each step. The
    measurement ends with NaN if one of the two copies rewinds and the other does not. Raises ValueError as `largest_exponent`
    does.
    """
    states = [futures.start, futures.start]
    turns = itertools.cycle((0, 1))

    def step(pieces: list[Tensor], number: int) -> Tensors:
        turn = next(turns)
        states[turn] = futures.step(coordinates.write(states[turn], pieces))
        on_step()
        after = coordinates.read(states[turn])
        rewound = turn == 1 and _position(states[0]) != _position(states[1])
        return [torch.full_like(piece, torch.nan) for piece in after] if rewound else after

    return largest_exponent(
        step,
        coordinates.read(futures.start),
        futures.trainer.state.streams.at("instruments"),
        steps=steps,
        epsilon=epsilon,
        every=every,
        discard=discard,
        norm=coordinates.length,
        direction=direction,
    )


def distances(
    futures: Continuations,
    coordinates: Coordinates,
    directions: list[list[Tensor]],
    *,
    steps: int,
    epsilon: float,
    on_step: Callable[[], None] = lambda: None,
) -> list[list[float]]:
    """For each direction, the distance of a copy perturbed by `epsilon` (may be 0) from the run after 0, 1, ... `steps` steps."""
    base, origin = futures.start, coordinates.read(futures.start)
    copies = []
    for direction in directions:
        factor = epsilon / coordinates.length(direction)
        copies.append(coordinates.write(base, [a + d * factor for a, d in zip(origin, direction, strict=True)]))
    measured = [[_distance(coordinates, base, copy)] for copy in copies]
    for _ in range(steps):
        base = futures.step(base)
        on_step()
        for index, copy in enumerate(copies):
            copies[index] = futures.step(copy)
            on_step()
            measured[index].append(_distance(coordinates, base, copies[index]))
    return measured


def _distance(coordinates: Coordinates, left: Snapshot, right: Snapshot) -> float:
    return coordinates.length([b - a for a, b in zip(coordinates.read(left), coordinates.read(right), strict=True)])


def _position(state: Snapshot) -> tuple[int, int]:
    counters = state.counters
    return counters["attempt"], counters["step"]
