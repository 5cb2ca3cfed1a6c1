"""Sudoku grids: counting solutions, drawing full grids, and taking out cells while the solution stays the only one.

A grid is a list of the cells row by row, 0 where a cell is blank; of side 4 (boxes of 2 by 2) or 9 (boxes of 3 by 3).
"""

import random
from collections.abc import Iterator
from math import isqrt

MOST_BLANKS = {4: 10, 9: 54}
"""Blanks, by side, up to which puzzles with one solution are found quickly."""

_PATIENCE = 100


def solutions(cells: list[int], side: int, rng: random.Random | None = None) -> Iterator[list[int]]:
    """Every solution of a grid, one after the other; with `rng` in an order drawn at random.

    Depth-first, always at the blank with the fewest candidates. A grid that breaks the rules has none.
    """
    rows, columns, boxes = [0] * side, [0] * side, [0] * side
    places = [(index // side, index % side, _box(index, side)) for index in range(side * side)]
    for (row, column, box), digit in zip(places, cells, strict=True):
        if digit:
            bit = 1 << digit
            if (rows[row] | columns[column] | boxes[box]) & bit:
                return
            rows[row], columns[column], boxes[box] = rows[row] | bit, columns[column] | bit, boxes[box] | bit
    found = list(cells)
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
            yield list(found)
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
            found[index] = digit
            yield from search()
            rows[row], columns[column], boxes[box] = rows[row] ^ bit, columns[column] ^ bit, boxes[box] ^ bit
        found[index] = 0
        blanks.append(index)
        blanks[best], blanks[-1] = blanks[-1], blanks[best]

    yield from search()


def is_unique(cells: list[int], side: int) -> bool:
    """Whether a grid has exactly one solution."""
    found = solutions(cells, side)
    return next(found, None) is not None and next(found, None) is None


def puzzle(side: int, blanks: int, rng: random.Random) -> tuple[list[int], list[int]] | None:
    """A grid with so many blanks and its only solution, drawn with `rng`; None where a hundred full grids gave none.

    Cells of a full grid are taken out in a random order, each only where the solution stays the only one.
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
    """A grid as text: a line a row, without spaces, `.` for a blank."""
    text = "".join(str(digit or ".") for digit in cells)
    return "\n".join(text[start : start + side] for start in range(0, side * side, side))


def _box(index: int, side: int) -> int:
    width = isqrt(side)
    return index // side // width * width + index % side // width
