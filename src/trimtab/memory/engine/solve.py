"""Many candidates in flight: each optimised until it is solved or out of steps, its place refilled from the queue."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.memory.engine.adam import Adam
from trimtab.memory.engine.layout import Branch, Layout, Segment, segments
from trimtab.memory.engine.network import FrozenNetwork, branch_losses, row_margins, vector_gradient
from trimtab.memory.engine.packing import Packing, pack
from trimtab.random import derive_seed


@dataclass(frozen=True)
class SolverTask:
    """What one pair's vectors have to say; `pair` names it.

    `ceilings` are the losses, in nats a token, that the branches must be below to be solved, beside the margin; none for ().
    """

    pair: str
    branches: tuple[Branch, ...]
    ceilings: tuple[float, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How vectors are found.

    `lr` is a multiple of the standard deviation of the embedding's entries, at which the vectors are drawn too. `positions`
    bounds those that are read at once, and with them memory.
    """

    vectors: int = 32
    layout: Layout = "two_sequences"
    steps: int = 500
    restarts: int = 5
    margin: float = 1.0
    lr: float = 0.22
    betas: tuple[float, float] = (0.9, 0.9)
    positions: int = 1024
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Finished:
    """A candidate that was solved or ran out of steps.

    `vectors` are those that were measured last, `losses` the mean NLL of each branch before every update and at the end,
    `margin` the smallest of its judged targets at the end, `seconds` its share of the engine's time.
    """

    pair: str
    restart: int
    status: Literal["solved", "unsolved"]
    steps: int
    margin: float
    losses: Float[np.ndarray, "steps branches"]
    vectors: Float[Tensor, "k d"]
    seconds: float


@dataclass(frozen=True)
class Step:
    """One step of the engine: how many candidates were measured, on how many positions, in what time."""

    number: int
    in_flight: int
    positions: int
    seconds: float
    mean_loss: float
    waiting: int
    finished: tuple[Finished, ...]


@dataclass(eq=False)
class _Row:
    task: int
    restart: int
    segments: tuple[Segment, ...]
    losses: list[list[float]] = field(default_factory=list)
    margin: float = -float("inf")
    seconds: float = 0.0

    @property
    def size(self) -> int:
        return sum(map(len, self.segments))


class Solver:
    """Optimises the vectors of many tasks against a frozen network.

    `step` until `done`; or `run`. `state` and `restore` carry everything over a kill: what follows is the same, bit for bit,
    since rows are measured together in the order in which they stand. A candidate's objective is the sum of its own branches
    alone, and the objectives are added up, so candidates never mix.

    Raises:
        ValueError: two tasks of one name.
    """

    def __init__(
        self, network: FrozenNetwork, modes: tuple[Tensor, Tensor], tasks: Sequence[SolverTask], settings: Settings
    ) -> None:
        if len({task.pair for task in tasks}) != len(tasks):
            raise ValueError("two tasks have the same name")
        self.network, self.tasks, self.settings = network, list(tasks), settings
        self.modes = torch.cat(modes)
        self._mode_rows = (len(modes[0]), len(modes[1]))
        self._adam = Adam(settings.lr * network.scale, settings.betas)
        self._precision = torch.float64 if network.dtype == torch.float64 else torch.float32
        self._waiting = deque((task, 0) for task in range(len(tasks)))
        self._rows: list[_Row] = []
        empty = torch.empty(0, settings.vectors, network.width, dtype=self._precision, device=network.device)
        self._vectors, self._first, self._second = empty, empty.clone(), empty.clone()
        self._packed: dict[tuple[tuple[int, int], ...], Packing] = {}
        self.positions = settings.positions
        self.steps = 0

    @property
    def done(self) -> bool:
        """Whether no candidate is left."""
        return not self._rows and not self._waiting

    def run(self) -> Iterator[Step]:
        """Step until it is done."""
        while not self.done:
            yield self.step()

    def start(self, pair: str, restart: int) -> Float[Tensor, "k d"]:
        """The vectors that a restart of a pair begins from: normal, at the embedding's scale; fewer are the first of more."""
        settings = self.settings
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "memory", pair, restart))
        drawn = torch.randn(settings.vectors, self.network.width, generator=generator, dtype=torch.float64)
        return (drawn * self.network.scale).to(self._precision).to(self.network.device)

    def step(self) -> Step:
        """Measure every candidate in flight, retire those that ended, and update the others."""
        begun = time.perf_counter()
        self._refill()
        margins, gradient = self._measure()
        ended, finished = [], []
        counts = torch.tensor([len(row.losses) for row in self._rows], device=self._vectors.device)
        elapsed, size = time.perf_counter() - begun, sum(row.size for row in self._rows)
        for index, row in enumerate(self._rows):
            row.margin, row.seconds = margins[index], row.seconds + elapsed * row.size / size
            solved = self._beats(row.margin) and all(
                loss < ceiling for loss, ceiling in zip(row.losses[-1], self.tasks[row.task].ceilings, strict=False)
            )
            if solved or len(row.losses) > self.settings.steps:
                ended.append(index)
                finished.append(self._finished(index, solved))
        mean = float(np.mean([np.nansum(row.losses[-1]) for row in self._rows]))
        number, measured = self.steps, len(self._rows)
        kept = [index for index in range(len(self._rows)) if index not in set(ended)]
        if ended:
            self._keep(kept)
            gradient, counts = gradient[kept], counts[kept]
        if kept:
            self._adam.update(self._vectors, gradient, self._first, self._second, counts)
        self.steps += 1
        return Step(number, measured, size, time.perf_counter() - begun, mean, len(self._waiting), tuple(finished))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The vectors, their moments, and everything else as JSON values."""
        values = {
            "steps": self.steps,
            "positions": self.positions,
            "waiting": [list(one) for one in self._waiting],
            "rows": [
                {"task": row.task, "restart": row.restart, "losses": row.losses, "seconds": row.seconds}
                for row in self._rows
            ],
        }
        return {"vectors": self._vectors}, {"first": self._first, "second": self._second}, values

    def restore(self, vectors: dict[str, Tensor], moments: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from a `state` of a solver of the same tasks and settings."""
        device = self.network.device
        self._vectors = vectors["vectors"].to(device)
        self._first, self._second = moments["first"].to(device), moments["second"].to(device)
        self.steps, self.positions = values["steps"], values["positions"]
        self._waiting = deque((task, restart) for task, restart in values["waiting"])
        self._rows = [
            _Row(row["task"], row["restart"], self._segments(row["task"]), row["losses"], seconds=row["seconds"])
            for row in values["rows"]
        ]

    def _beats(self, margin: float) -> bool:
        """Whether the smallest margin is wide enough. Under a margin of 0 a tie, which bf16 makes likely, is none."""
        return margin > 0 if self.settings.margin == 0 else margin >= self.settings.margin

    # --- within a step -----------------------------------------------------------------------------------------------

    def _refill(self) -> None:
        taken: list[_Row] = []
        room = self.positions - sum(row.size for row in self._rows)
        while self._waiting:
            task, restart = self._waiting[0]
            row = _Row(task, restart, self._segments(task))
            if row.size > room and (self._rows or taken):
                break
            self._waiting.popleft()
            taken.append(row)
            room -= row.size
        if not taken:
            return
        fresh = torch.stack([self.start(self.tasks[row.task].pair, row.restart) for row in taken])
        self._rows += taken
        self._vectors = torch.cat((self._vectors, fresh))
        self._first = torch.cat((self._first, torch.zeros_like(fresh)))
        self._second = torch.cat((self._second, torch.zeros_like(fresh)))

    def _measure(self) -> tuple[list[float], Float[Tensor, "rows k d"]]:
        """Margins and gradients of all rows, in chunks of at most `positions`; appends every row's losses."""
        while True:
            try:
                found = [self._measure_chunk(chunk) for chunk in self._chunks()]
                break
            except torch.cuda.OutOfMemoryError:
                if self.positions <= max(row.size for row in self._rows):
                    raise
                self.positions //= 2
                torch.cuda.empty_cache()
        for row, losses in zip(self._rows, (row for _, all_, _ in found for row in all_), strict=True):
            row.losses.append(losses)
        return [margin for margins, _, _ in found for margin in margins], torch.cat([pulled for _, _, pulled in found])

    def _chunks(self) -> Iterator[slice]:
        start, size = 0, 0
        for index, row in enumerate(self._rows):
            if index > start and size + row.size > self.positions:
                yield slice(start, index)
                start, size = index, 0
            size += row.size
        yield slice(start, len(self._rows))

    def _measure_chunk(self, chunk: slice) -> tuple[list[float], list[list[float]], Tensor]:
        rows, vectors = self._rows[chunk], self._vectors[chunk]
        packing = self._packing(rows)
        cost, pulled = self.network.differentiated(packing, self.modes, vectors)
        branches = max(len(self.tasks[row.task].branches) for row in rows)
        losses = branch_losses(packing, cost, len(rows), branches).tolist()
        own = [found[: len(self.tasks[row.task].branches)] for found, row in zip(losses, rows, strict=True)]
        return (
            row_margins(packing, cost, len(rows)).tolist(),
            own,
            vector_gradient(packing, pulled, vectors.shape),
        )

    def _packing(self, rows: Sequence[_Row]) -> Packing:
        key = tuple((row.task, row.restart) for row in rows)
        if key not in self._packed:
            self._packed = {other: packing for other, packing in self._packed.items() if len(self._packed) < 8}
            self._packed[key] = pack([row.segments for row in rows], self.settings.vectors, self.network.device)
        return self._packed[key]

    def _segments(self, task: int) -> tuple[Segment, ...]:
        return segments(self.tasks[task].branches, self.settings.vectors, self._mode_rows, self.settings.layout)

    def _finished(self, index: int, solved: bool) -> Finished:
        row = self._rows[index]
        pair = self.tasks[row.task].pair
        if not solved and row.restart + 1 < self.settings.restarts:
            self._waiting.append((row.task, row.restart + 1))
        return Finished(
            pair=pair,
            restart=row.restart,
            status="solved" if solved else "unsolved",
            steps=len(row.losses) - 1,
            margin=row.margin,
            losses=np.array(row.losses),
            vectors=self._vectors[index].clone(),
            seconds=row.seconds,
        )

    def _keep(self, kept: Sequence[int]) -> None:
        self._rows = [self._rows[index] for index in kept]
        self._vectors, self._first, self._second = (
            tensor[list(kept)] for tensor in (self._vectors, self._first, self._second)
        )
