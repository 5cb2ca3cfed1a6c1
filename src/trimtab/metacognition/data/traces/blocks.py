"""Shards as blocks of records, read one block at a time, in an order that a seed and a place decide."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import torch

from trimtab.data.tasks.files import BadRowError, LeftOutRowError, Row
from trimtab.errors import DataError
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.traces.shards import Shard
from trimtab.random import derive_seed

_KEPT = 3
"""Blocks that are kept: a batch may cross from one to the next, and a probe looks ahead."""


class Block(NamedTuple):
    """The usable problems of some records in a row, how many records these are, and what was left out, by kind."""

    problems: list[ThoughtProblem]
    records: int
    left_out: Counter[str]


class Blocks:
    """The records of shards, in blocks of `buffer` records.

    `problem` turns a row into a problem, or raises `BadRowError` or `DataError`. The number of records of a shard is looked up
    when a place in or after it is first needed.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        buffer: int,
        problem: Callable[[Row], ThoughtProblem],
        *,
        excluded: frozenset[str],
    ) -> None:
        self.shards, self.buffer, self._problem, self.excluded = shards, buffer, problem, excluded
        self._ends: list[int] = []
        self._kept: dict[int, Block] = {}
        self._open: tuple[int, Iterator[Row]] | None = None

    def reaches(self, record: int) -> bool:
        """Whether there is a record of this number."""
        while len(self._ends) < len(self.shards) and (not self._ends or self._ends[-1] <= record):
            self._ends.append((self._ends or [0])[-1] + self.shards[len(self._ends)].count)
        return bool(self._ends) and record < self._ends[-1]

    def total(self) -> int:
        """The number of records. All shards are looked up for it."""
        while self.reaches(self._ends[-1] if self._ends else 0):
            pass
        return self._ends[-1] if self._ends else 0

    def rows(self, start: int) -> Iterator[Row]:
        """The rows from record `start` on; shards before it are not opened again, and rows before it not parsed."""
        if not self.reaches(start):
            return
        first = bisect_right(self._ends, start)
        yield from self.shards[first].rows(start - (self._ends[first - 1] if first else 0))
        for shard in self.shards[first + 1 :]:
            yield from shard.rows()

    def block(self, index: int) -> Block:
        """The block of records `index * buffer` and following."""
        if index not in self._kept:
            problems: list[ThoughtProblem] = []
            left_out: Counter[str] = Counter()
            records = 0
            start = index * self.buffer
            # The block after the last one that was read goes on in the open file.
            rows = self._open[1] if self._open is not None and self._open[0] == start else self.rows(start)
            for row in islice(rows, self.buffer):
                records += 1
                try:
                    problem = self._problem(row)
                except LeftOutRowError as error:
                    left_out[error.kind] += 1
                except BadRowError:
                    left_out["bad_row"] += 1
                else:
                    if problem.question in self.excluded:
                        left_out["in_validation"] += 1
                    else:
                        problems.append(problem)
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._open = start + records, rows
            self._kept[index] = Block(problems, records, left_out)
        return self._kept[index]


class Stream:
    """Problems of blocks, endlessly: the problem at a place is a function of the seed and the place alone.

    A pass has as many places as there are records, and place p of a pass belongs to the block p // buffer, whatever was left out.
    The usable problems of the block have a drawn order, another one in each pass; where they are fewer than the records, some
    come again in a second order. So only the block of a place is read to find it. A block without usable problems uses those of
    the next.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self._order: tuple[tuple[int, ...], list[int]] | None = None

    def problem(self, seed: int, place: int, again: int = 0) -> ThoughtProblem:
        """The problem at a place; `again` counts up to others of the same block. Raises `DataError` if no record is usable."""
        blocks = self.blocks
        epoch, rest = (0, place) if blocks.reaches(place) else divmod(place, max(1, blocks.total()))
        index, slot = divmod(rest, blocks.buffer)
        problems = blocks.block(index).problems
        while not problems:
            index = index + 1 if blocks.reaches((index + 1) * blocks.buffer) else 0
            if index == rest // blocks.buffer:
                raise DataError(
                    "data.task: none of the streamed records is a usable trace. Check the files and their schema."
                )
            problems = blocks.block(index).problems
        turn, number = divmod(slot + again, len(problems))
        return problems[self._permutation(seed, epoch, index, turn, len(problems))[number]]

    def opening(self) -> list[ThoughtProblem]:
        """The problems of the first block that has usable ones. Raises `DataError` if none has."""
        self.problem(0, 0)
        return next(block for index in count() if (block := self.blocks.block(index).problems))

    def left_out(self, place: int) -> float:
        """The share of the records of a place's block that are left out."""
        blocks = self.blocks
        rest = place if blocks.reaches(place) else place % max(1, blocks.total())
        block = blocks.block(rest // blocks.buffer)
        return 1 - len(block.problems) / max(1, block.records)

    def _permutation(self, seed: int, epoch: int, index: int, turn: int, size: int) -> list[int]:
        key = (seed, epoch, index, turn)
        if self._order is None or self._order[0] != key:
            generator = torch.Generator().manual_seed(derive_seed(seed, "data", "stream", epoch, index, turn))
            self._order = key, torch.randperm(size, generator=generator).tolist()
        return self._order[1]
