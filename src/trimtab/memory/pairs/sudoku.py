"""Sudoku as pairs: the puzzle is the question, its only solution the answer."""

import random
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.errors import DataError
from trimtab.memory.pairs.arithmetic import needed_count
from trimtab.memory.pairs.pair import Pair, Reading, text_hash
from trimtab.memory.pairs.reading import chosen
from trimtab.memory.pairs.sudoku_grid import MOST_BLANKS, grid_text, puzzle
from trimtab.random import derive_seed

_PATIENCE = 200


class Sudoku:
    """Sudoku puzzles, each with one solution (proven by a solver): a line a row, digits without spaces, `.` for a blank.

    No puzzle comes twice.
    """

    name = "sudoku"

    def __init__(
        self,
        *,
        size: Annotated[Literal[4, 9], Field(description="the side of the grid")] = 4,
        blanks: Annotated[
            int, Field(ge=1, description="blanks of a puzzle, at most 10 of a grid of side 4 and 54 of one of side 9")
        ] = 8,
    ) -> None:
        self.size, self.blanks = size, blanks
        self.check({"size": size, "blanks": blanks})

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for more blanks than puzzles with one solution are found for."""
        size, blanks = parameters["size"], parameters["blanks"]
        if blanks > MOST_BLANKS[size]:
            raise ValueError(
                f"`blanks` is {blanks}, and a grid of side {size} may have {MOST_BLANKS[size]} at most. Ask for fewer"
            )

    def read(self, count: int | None, seed: int) -> Reading:
        """See `PairSource.read`. Raises `DataError` where too few different puzzles are found, or no count is given."""
        asked = needed_count(self.name, count)
        rng = random.Random(derive_seed(seed, "pairs", self.name, self.size, self.blanks))
        pairs: dict[str, Pair] = {}
        seen = 0
        while len(pairs) < asked:
            drawn = puzzle(self.size, self.blanks, rng)
            if drawn is None or seen >= _PATIENCE:
                why = "no further one was found" if drawn is None else f"the next {seen:,} draws were seen before"
                raise DataError(
                    f"The source {self.name} found {len(pairs):,} different puzzles of side {self.size} with {self.blanks} "
                    f"blanks, and {asked:,} are asked for; {why}. Ask for fewer, or change `pairs.blanks`."
                )
            question, answer = (grid_text(cells, self.size) for cells in drawn)
            seen += 1
            if question not in pairs:
                seen = 0
                name = f"sudoku{self.size}-{text_hash(question)}"
                metadata = {"size": self.size, "blanks": self.blanks}
                pairs[question] = Pair(name, question, answer, (answer,), metadata, exact=True)
        return chosen(self.name, list(pairs.values()), asked, ())
