"""Sudoku grids: finding solutions, drawing full grids, and removing cells as long as the solution stays unique.

A grid is a list of cells row by row, 0 for a blank, with side 4 (boxes of 2 by 2) or 9 (boxes of 3 by 3).
"""

import random
from collections.abc import Iterator
from math import isqrt

MOST_BLANKS = {4: 10, 9: 54}
"""By side, the most blanks for which puzzles with a unique solution are found quickly."""

_PATIENCE = 100


def solutions(cells: list[int], side: int, rng: random.Random | None = None) -> Iterator[list[int]]:
    """Yields every solution of a grid, in random order with `rng`.

    Depth-first search, always at the blank with the fewest possible digits. A grid that breaks the rules has no solution.
    """
    rows, columns, boxes = [0] * side, [0] * side, [0] * side
    places = [(index // side, index % side, _box(index, side)) for index in range(side * side)]
    for (row, column, box), digit in zip(places, cells, strict=True):
        if digit:
            bit = 1 << digit
            if (rows[row] | columns[column] | boxes[box]) & bit:
                return
            rows[row], columns[column], boxes[box] = rows[row] | bit, columns[column] | bit, boxes[box] | bit
    grid = list(cells)
    blanks = [index for index, digit in enumerate(cells) if not digit]
    full = (1 << (side + 1)) - 2

    def search() -> Iterator[list[int]]:
        best, best_open, fewest = -1, 0, side + 1
        for at, index in enumerate(blanks):
            row, column, box = places[index]
            candidates = full & ~(rows[row] | columns[column] | boxes[box])
            if (number := candidates.bit_count()) < fewest:
                best, best_open, fewest = at, candidates, number
                if number < 2:
                    break
        if best < 0:
            yield list(grid)
            return
        index = blanks[best]
        blanks[best] = blanks[-1]
        blanks.pop()
        row, column, box = places[index]
        digits = [digit for digit in range(1, side + 1) if best_open >> digit & 1]
        if rng is not None:
            rng.shuffle(digits)
        for digit in digits:
            bit = 1 << digit
            rows[row], columns[column], boxes[box] = rows[row] ^ bit, columns[column] ^ bit, boxes[box] ^ bit
            grid[index] = digit
            yield from search()
            rows[row], columns[column], boxes[box] = rows[row] ^ bit, columns[column] ^ bit, boxes[box] ^ bit
        grid[index] = 0
        blanks.append(index)
        blanks[best], blanks[-1] = blanks[-1], blanks[best]

    yield from search()


def is_unique(cells: list[int], side: int) -> bool:
    """Whether a grid has exactly one solution."""
    all_solutions = solutions(cells, side)
    return next(all_solutions, None) is not None and next(all_solutions, None) is None


def puzzle(side: int, blanks: int, rng: random.Random) -> tuple[list[int], list[int]] | None:
    """A grid with `blanks` blanks and its unique solution, drawn with `rng`; None if 100 full grids gave none.

    Cells of a full grid are removed in random order, each only if the solution stays unique.
    """
    for _ in range(_PATIENCE):
        solution = next(solutions([0] * (side * side), side, rng))
        cells, left = list(solution), blanks
        order = list(range(side * side))
        rng.shuffle(order)
        for index in order:
            if not left:
                break
            digit, cells[index] = cells[index], 0
            if is_unique(cells, side):
                left -= 1
            else:
                cells[index] = digit
        if not left:
            return cells, solution
    return None


def grid_text(cells: list[int], side: int) -> str:
    """A grid as text: one line per row, without spaces, `.` for a blank."""
    text = "".join(str(digit or ".") for digit in cells)
    return "\n".join(text[start : start + side] for start in range(0, side * side, side))


def _box(index: int, side: int) -> int:
    width = isqrt(side)
    return index // side // width * width + index % side // width
