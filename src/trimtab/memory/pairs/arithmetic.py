"""Sums, differences and products as pairs, from the generator of the task `arithmetic`."""

import random
from typing import Annotated

from pydantic import Field

from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.arithmetic.expressions import Operation
from trimtab.errors import DataError
from trimtab.memory.pairs.pair import Pair, Reading
from trimtab.memory.pairs.reading import chosen
from trimtab.random import derive_seed

_PATIENCE = 200
_NAMES = str.maketrans({"+": ".plus.", "-": ".minus.", "*": ".times.", "=": ""})


class ArithmeticPairs:
    """Arithmetic of whole numbers, no value negative: `37+48=` is answered by `85`; see the task `arithmetic` for the levels.

    The levels come in turn and no question comes twice. Without its signs a question is another one, so that every
    character counts.
    """

    name = "arithmetic"

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1, description="levels, taken in turn")
        ] = (1, 2, 3),
        operations: Annotated[
            tuple[Operation, ...], Field(min_length=1, description="what is asked, drawn with equal chances")
        ] = ("sum", "difference", "product", "chain"),
    ) -> None:
        self.levels, self._task = levels, Arithmetic(levels=levels, operations=operations)

    def read(self, count: int | None, seed: int) -> Reading:
        """See `PairSource.read`. Raises `DataError` where there are too few different questions, or no count is given."""
        asked = needed_count(self.name, count)
        rng = random.Random(derive_seed(seed, "pairs", self.name))
        pairs: dict[str, Pair] = {}
        tries = 0
        while len(pairs) < asked:
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
                    f"The source {self.name} has too few different questions for {asked:,} pairs: after {len(pairs):,} the "
                    f"next {tries:,} draws of level {level} were seen before. Ask for fewer, or add a harder level "
                    "(`pairs.levels`)."
                )
        return chosen(self.name, list(pairs.values()), asked, ())


def needed_count(name: str, count: int | None) -> int:
    """The count of pairs of a source that makes as many as it is asked for. Raises `DataError` where there is none."""
    if count is None:
        raise DataError(f"The source {name} makes as many pairs as it is asked for. Say how many.")
    return count
