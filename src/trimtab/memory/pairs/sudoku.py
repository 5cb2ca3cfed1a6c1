"""Sudoku as pairs: a puzzle and its unique solution."""

import random
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.errors import DataError
from trimtab.memory.pairs.arithmetic import needed_count
from trimtab.memory.pairs.pair import LoadedPairs, Pair, text_hash
from trimtab.memory.pairs.reading import select_pairs
from trimtab.memory.pairs.sudoku_grid import MOST_BLANKS, grid_text, puzzle
from trimtab.random import derive_seed

_PATIENCE = 200


class Sudoku:
    """Distinct Sudoku puzzles with a unique solution (checked by a solver): one line per row, digits, `.` for a blank."""

    name = "sudoku"

    def __init__(
        self,
        *,
        size: Annotated[Literal[4, 9], Field(description="the side of the grid")] = 4,
        blanks: Annotated[
            int, Field(ge=1, description="blanks of a puzzle: at most 10 for side 4, and 54 for side 9")
        ] = 8,
    ) -> None:
        self.size, self.blanks = size, blanks
        self.check({"size": size, "blanks": blanks})

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for more blanks than `MOST_BLANKS`."""
        size, blanks = parameters["size"], parameters["blanks"]
        if blanks > MOST_BLANKS[size]:
            raise ValueError(
                f"`blanks` is {blanks}, but a grid of side {size} may have at most {MOST_BLANKS[size]}; use fewer"
            )

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`. Raises `DataError` if too few different puzzles are found, or `count` is None."""
        count = needed_count(self.name, count)
        rng = random.Random(derive_seed(seed, "pairs", self.name, self.size, self.blanks))
        pairs: dict[str, Pair] = {}
        duplicates = 0
        while len(pairs) < count:
            drawn = puzzle(self.size, self.blanks, rng)
            if drawn is None or duplicates >= _PATIENCE:
                why = (
                    "no further one was found"
                    if drawn is None
                    else f"the next {duplicates:,} draws were all duplicates"
                )
                raise DataError(
                    f"The source {self.name} found {len(pairs):,} different puzzles of side {self.size} with {self.blanks} "
                    f"blanks, but {count:,} are needed: {why}. Use fewer pairs (`count`), or change `pairs.blanks`."
                )
            question, answer = (grid_text(cells, self.size) for cells in drawn)
            duplicates += 1
            if question not in pairs:
                duplicates = 0
                name = f"sudoku{self.size}-{text_hash(question)}"
                metadata = {"size": self.size, "blanks": self.blanks}
                pairs[question] = Pair(name, question, answer, (answer,), metadata, exact=True)
        return select_pairs(self.name, list(pairs.values()), count, ())
