"""Sums, differences and products as pairs, from the generator of the task `arithmetic`."""

import random
from typing import Annotated

from pydantic import Field

from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.arithmetic.expressions import Operation
from trimtab.errors import DataError
from trimtab.memory.pairs.pair import LoadedPairs, Pair
from trimtab.memory.pairs.reading import select_pairs
from trimtab.random import derive_seed

_PATIENCE = 200
_NAMES = str.maketrans({"+": ".plus.", "-": ".minus.", "*": ".times.", "=": ""})


class ArithmeticPairs:
    """Arithmetic with non-negative whole numbers, such as `37+48=` with the answer `85`; the task `arithmetic` has the levels.

    Levels alternate, and questions are distinct. Pairs are exact: signs change a question's meaning, so every character counts.
    """

    name = "arithmetic"

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1, description="levels, used in turn")
        ] = (1, 2, 3),
        operations: Annotated[
            tuple[Operation, ...], Field(min_length=1, description="kinds of problems, drawn with equal probability")
        ] = ("sum", "difference", "product", "chain"),
    ) -> None:
        self.levels, self._task = levels, Arithmetic(levels=levels, operations=operations)

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`. Raises `DataError` if there are too few different questions, or `count` is None."""
        count = needed_count(self.name, count)
        rng = random.Random(derive_seed(seed, "pairs", self.name))
        pairs: dict[str, Pair] = {}
        tries = 0
        while len(pairs) < count:
            level = self.levels[len(pairs) % len(self.levels)]
            problem = self._task.problem(level, rng)
            question = problem.prompt
            if question not in pairs:
                pair_id = question.translate(_NAMES)
                pairs[question] = Pair(
                    pair_id, question, problem.answer, (problem.answer,), {"level": level}, exact=True
                )
                tries = 0
                continue
            tries += 1
            if tries > _PATIENCE * max(10, len(pairs)):
                raise DataError(
                    f"The source {self.name} has too few different questions for {count:,} pairs: after {len(pairs):,} the "
                    f"next {tries:,} draws of level {level} were all duplicates. Use fewer pairs (`count`), or add a harder "
                    "level (`pairs.levels`)."
                )
        return select_pairs(self.name, list(pairs.values()), count, ())


def needed_count(name: str, count: int | None) -> int:
    """The `count` of a source that generates any number of pairs. Raises `DataError` if it is None."""
    if count is None:
        raise DataError(f"The source {name} generates pairs without end. Set `count` to a number.")
    return count
