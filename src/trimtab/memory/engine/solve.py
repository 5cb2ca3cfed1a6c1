"""The solver: optimises many candidates at once, each until it is solved or out of steps, then takes the next from a queue."""

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
from trimtab.memory.engine.network import FrozenNetwork, branch_losses, candidate_margins, vector_gradient
from trimtab.memory.engine.packing import Packing, pack
from trimtab.random import derive_seed


@dataclass(frozen=True)
class PairTargets:
    """The targets of one pair: the branches that its vectors must make the model say.

    `ceilings` are upper bounds on the branches' losses, in nats per token. A solved candidate is below all of them and also
    reaches the margin; () sets no bounds.
    """

    id: str
    branches: tuple[Branch, ...]
    ceilings: tuple[float, ...] = ()


@dataclass(frozen=True)
class SolverSettings:
    """How the solver optimises vectors.

    `lr` is a multiple of the standard deviation of the embedding's entries, which is also the scale of the initial vectors.
    `positions` is the largest number of positions in one forward pass; it bounds the memory used.
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
class FinishedCandidate:
    """A candidate that was solved or ran out of steps.

    `vectors` are the final ones, on which the last losses and the margin were measured. `losses` holds the mean NLL of each
    branch before every update and at the end, `margin` is the smallest logit margin of its judged targets at the end, and
    `seconds` is its share of the solver's time.
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
class SolverStep:
    """Statistics of one step: candidates measured, positions read, seconds, candidates waiting, and those that finished."""

    number: int
    in_flight: int
    positions: int
    seconds: float
    mean_loss: float
    waiting: int
    finished: tuple[FinishedCandidate, ...]


@dataclass(eq=False)
class _Candidate:
    pair_index: int
    restart: int
    segments: tuple[Segment, ...]
    losses: list[list[float]] = field(default_factory=list)
    margin: float = -float("inf")
    seconds: float = 0.0

    @property
    def size(self) -> int:
        return sum(map(len, self.segments))


class Solver:
    """Optimises the vectors of many pairs against a frozen network.

    Call `step` until `done`, or iterate over `run`. `state` and `restore` save and restore everything, and a restored solver
    continues bit for bit, because candidates are always measured in the same order. The objective is a sum with one term per
    candidate, so candidates do not influence each other.

    Raises:
        ValueError: two pairs have the same id.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        modes: tuple[Tensor, Tensor],
        pairs: Sequence[PairTargets],
        settings: SolverSettings,
    ) -> None:
        if len({pair.id for pair in pairs}) != len(pairs):
            raise ValueError("two pairs have the same id")
        self.network, self.pairs, self.settings = network, list(pairs), settings
        self.modes = torch.cat(modes)
        self._mode_rows = (len(modes[0]), len(modes[1]))
        self._adam = Adam(settings.lr * network.scale, settings.betas)
        self._precision = torch.float64 if network.dtype == torch.float64 else torch.float32
        self._waiting = deque((pair_index, 0) for pair_index in range(len(pairs)))
        self._candidates: list[_Candidate] = []
        empty = torch.empty(0, settings.vectors, network.width, dtype=self._precision, device=network.device)
        self._vectors, self._first, self._second = empty, empty.clone(), empty.clone()
        self._packed: dict[tuple[tuple[int, int], ...], Packing] = {}
        self.positions = settings.positions
        self.steps = 0

    @property
    def done(self) -> bool:
        """Whether no candidate is left."""
        return not self._candidates and not self._waiting

    def run(self) -> Iterator[SolverStep]:
        """Yield steps until the solver is done."""
        while not self.done:
            yield self.step()

    def start(self, pair: str, restart: int) -> Float[Tensor, "k d"]:
        """The initial vectors of a restart: normal, at the embedding's scale. With fewer vectors they are the first of more."""
        settings = self.settings
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "memory", pair, restart))
        drawn = torch.randn(settings.vectors, self.network.width, generator=generator, dtype=torch.float64)
        return (drawn * self.network.scale).to(self._precision).to(self.network.device)

    def step(self) -> SolverStep:
        """Measure every candidate in flight, remove those that finished, and update the others."""
        started = time.perf_counter()
        self._refill()
        margins, gradient = self._measure()
        finished: dict[int, FinishedCandidate] = {}
        counts = torch.tensor([len(candidate.losses) for candidate in self._candidates], device=self._vectors.device)
        elapsed, size = time.perf_counter() - started, sum(candidate.size for candidate in self._candidates)
        for index, candidate in enumerate(self._candidates):
            candidate.margin = margins[index]
            candidate.seconds += elapsed * candidate.size / size
            ceilings = self.pairs[candidate.pair_index].ceilings
            solved = self._reaches_margin(candidate.margin) and all(
                loss < ceiling for loss, ceiling in zip(candidate.losses[-1], ceilings, strict=False)
            )
            if solved or len(candidate.losses) > self.settings.steps:
                finished[index] = self._finish(index, solved)
        mean = float(np.mean([np.nansum(candidate.losses[-1]) for candidate in self._candidates]))
        number, measured = self.steps, len(self._candidates)
        kept = [index for index in range(len(self._candidates)) if index not in finished]
        if finished:
            self._keep(kept)
            gradient, counts = gradient[kept], counts[kept]
        if kept:
            self._adam.update(self._vectors, gradient, self._first, self._second, counts)
        self.steps += 1
        return SolverStep(
            number, measured, size, time.perf_counter() - started, mean, len(self._waiting), tuple(finished.values())
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The vectors, Adam's moments, and everything else as JSON values."""
        values = {
            "steps": self.steps,
            "positions": self.positions,
            "waiting": [list(one) for one in self._waiting],
            "candidates": [
                {
                    "pair": candidate.pair_index,
                    "restart": candidate.restart,
                    "losses": candidate.losses,
                    "seconds": candidate.seconds,
                }
                for candidate in self._candidates
            ],
        }
        return {"vectors": self._vectors}, {"first": self._first, "second": self._second}, values

    def restore(self, vectors: dict[str, Tensor], moments: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from the `state` of a solver with the same pairs and settings."""
        device = self.network.device
        self._vectors = vectors["vectors"].to(device)
        self._first, self._second = moments["first"].to(device), moments["second"].to(device)
        self.steps, self.positions = values["steps"], values["positions"]
        self._waiting = deque((pair_index, restart) for pair_index, restart in values["waiting"])
        self._candidates = [
            _Candidate(
                saved["pair"],
                saved["restart"],
                self._segments(saved["pair"]),
                saved["losses"],
                seconds=saved["seconds"],
            )
            for saved in values["candidates"]
        ]

    def _reaches_margin(self, margin: float) -> bool:
        """Whether a smallest margin is large enough. If `margin` is 0 it must be above 0: ties, likely in bf16, fail."""
        return margin > 0 if self.settings.margin == 0 else margin >= self.settings.margin

    # --- within a step -----------------------------------------------------------------------------------------------

    def _refill(self) -> None:
        added: list[_Candidate] = []
        room = self.positions - sum(candidate.size for candidate in self._candidates)
        while self._waiting:
            pair_index, restart = self._waiting[0]
            candidate = _Candidate(pair_index, restart, self._segments(pair_index))
            if candidate.size > room and (self._candidates or added):
                break
            self._waiting.popleft()
            added.append(candidate)
            room -= candidate.size
        if not added:
            return
        fresh = torch.stack([self.start(self.pairs[one.pair_index].id, one.restart) for one in added])
        self._candidates += added
        self._vectors = torch.cat((self._vectors, fresh))
        self._first = torch.cat((self._first, torch.zeros_like(fresh)))
        self._second = torch.cat((self._second, torch.zeros_like(fresh)))

    def _measure(self) -> tuple[list[float], Float[Tensor, "rows k d"]]:
        """Margins and gradients of all candidates, in chunks of at most `positions`; appends each candidate's losses."""
        while True:
            try:
                chunks = [self._measure_chunk(chunk) for chunk in self._chunks()]
                break
            except torch.cuda.OutOfMemoryError:
                if self.positions <= max(candidate.size for candidate in self._candidates):
                    raise
                self.positions //= 2
                torch.cuda.empty_cache()
        all_losses = [losses for _, chunk_losses, _ in chunks for losses in chunk_losses]
        for candidate, losses in zip(self._candidates, all_losses, strict=True):
            candidate.losses.append(losses)
        all_margins = [margin for margins, _, _ in chunks for margin in margins]
        return all_margins, torch.cat([gradient for _, _, gradient in chunks])

    def _chunks(self) -> Iterator[slice]:
        start, size = 0, 0
        for index, candidate in enumerate(self._candidates):
            if index > start and size + candidate.size > self.positions:
                yield slice(start, index)
                start, size = index, 0
            size += candidate.size
        yield slice(start, len(self._candidates))

    def _measure_chunk(self, chunk: slice) -> tuple[list[float], list[list[float]], Tensor]:
        candidates, vectors = self._candidates[chunk], self._vectors[chunk]
        packing = self._packing(candidates)
        cost, gradient = self.network.cost_and_gradient(packing, self.modes, vectors)
        branches = [len(self.pairs[candidate.pair_index].branches) for candidate in candidates]
        losses = branch_losses(packing, cost, len(candidates), max(branches)).tolist()
        return (
            candidate_margins(packing, cost, len(candidates)).tolist(),
            [row[:count] for row, count in zip(losses, branches, strict=True)],
            vector_gradient(packing, gradient, vectors.shape),
        )

    def _packing(self, candidates: Sequence[_Candidate]) -> Packing:
        key = tuple((candidate.pair_index, candidate.restart) for candidate in candidates)
        if key not in self._packed:
            self._packed = {other: packing for other, packing in self._packed.items() if len(self._packed) < 8}
            self._packed[key] = pack([one.segments for one in candidates], self.settings.vectors, self.network.device)
        return self._packed[key]

    def _segments(self, pair_index: int) -> tuple[Segment, ...]:
        return segments(self.pairs[pair_index].branches, self.settings.vectors, self._mode_rows, self.settings.layout)

    def _finish(self, index: int, solved: bool) -> FinishedCandidate:
        """The result of a candidate that ended; an unsolved one with restarts left queues the next."""
        candidate = self._candidates[index]
        if not solved and candidate.restart + 1 < self.settings.restarts:
            self._waiting.append((candidate.pair_index, candidate.restart + 1))
        return FinishedCandidate(
            pair=self.pairs[candidate.pair_index].id,
            restart=candidate.restart,
            status="solved" if solved else "unsolved",
            steps=len(candidate.losses) - 1,
            margin=candidate.margin,
            losses=np.array(candidate.losses),
            vectors=self._vectors[index].clone(),
            seconds=candidate.seconds,
        )

    def _keep(self, kept: Sequence[int]) -> None:
        self._candidates = [self._candidates[index] for index in kept]
        self._vectors, self._first, self._second = (
            tensor[list(kept)] for tensor in (self._vectors, self._first, self._second)
        )
