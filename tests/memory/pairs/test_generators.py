"""Generated pairs: arithmetic and Sudoku."""

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.memory.pairs.files import source
from trimtab.config import ConfigError, DataError
from trimtab.memory.pairs import sudoku
from trimtab.memory.pairs.sudoku_grid import MOST_BLANKS, grid_text, is_unique, puzzle, solutions


def test_arithmetic_pairs_are_correct_and_distinct() -> None:
    pairs = source("arithmetic").read(300, 0).pairs
    assert len({pair.question for pair in pairs}) == len({pair.id for pair in pairs}) == 300
    for pair in pairs:
        assert pair.question.endswith("=")
        assert eval(pair.question[:-1]) == int(pair.answer) >= 0
        assert pair.answers == (pair.answer,)
        assert pair.exact
    assert [pair.metadata["level"] for pair in pairs[:4]] == [1, 2, 3, 1]
    sums = source("arithmetic", levels=[1], operations=["sum"]).read(20, 0).pairs
    assert all(pair.question.count("+") == 1 and len(pair.question) == 6 for pair in sums)
    assert sums[0].id == sums[0].question[:-1].replace("+", ".plus.")


@pytest.mark.parametrize("name", ["arithmetic", "sudoku"])
def test_fewer_pairs_are_the_first_of_more(name: str) -> None:
    generator = source(name)
    assert generator.read(5, 1) == source(name).read(5, 1)
    assert generator.read(5, 1).pairs == generator.read(20, 1).pairs[:5]
    assert generator.read(5, 1).pairs != generator.read(5, 2).pairs
    assert generator.read(5, 1).fingerprint != generator.read(20, 1).fingerprint
    with pytest.raises(DataError, match="Set `count` to a number"):
        generator.read(None, 1)


def test_too_few_different_questions_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    too_few = r"arithmetic has too few different questions for 2,000 pairs: after 720 .*pairs\.levels"
    with pytest.raises(DataError, match=too_few):
        source("arithmetic", levels=[1], operations=["product"]).read(2000, 0)
    monkeypatch.setattr(sudoku, "_PATIENCE", 2)
    with pytest.raises(DataError, match=r"puzzles of side 4 with 1 blanks, but 9,000 are needed: the next 2 draws"):
        source("sudoku", size=4, blanks=1).read(9000, 0)


@pytest.mark.parametrize(("size", "blanks"), [(4, 1), (4, 10), (9, 40), (9, 54)])
def test_sudoku_pairs_are_solved_puzzles(size: int, blanks: int) -> None:
    pairs = source("sudoku", size=size, blanks=blanks).read(4, 0).pairs
    assert len({pair.id for pair in pairs}) == 4
    for pair in pairs:
        puzzle_rows, answer = pair.question.split("\n"), pair.answer.split("\n")
        assert pair.question.count(".") == blanks
        assert all(a in (b, ".") for a, b in zip(pair.question, pair.answer, strict=True))
        digits = sorted("123456789"[:size])
        box = int(size**0.5)
        assert len(puzzle_rows) == len(answer) == size
        for i in range(size):
            assert sorted(answer[i]) == sorted(row[i] for row in answer) == digits
            top, left = i // box * box, i % box * box
            assert sorted(answer[top + r][left + c] for r in range(box) for c in range(box)) == digits


def brute_force(cells: list[int]) -> list[list[int]]:
    """All solutions of a grid of side 4, by trying every choice of rows."""
    rows = list(permutations((1, 2, 3, 4)))
    grids = [[]]
    for row in range(4):
        given = cells[4 * row : 4 * row + 4]
        matching = [one for one in rows if all(g in (0, o) for g, o in zip(given, one, strict=True))]
        grids = [grid + list(one) for grid in grids for one in matching]
        grids = [grid for grid in grids if all(len({*grid[c::4]}) == row + 1 for c in range(4))]
    boxes = [[top + left + i for i in (0, 1, 4, 5)] for top in (0, 8) for left in (0, 2)]
    return [grid for grid in grids if all(len({grid[i] for i in box}) == 4 for box in boxes)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=16, max_size=16), st.integers(0, 16), st.integers())
def test_the_solver_agrees_with_brute_force(cells: list[int], kept: int, seed: int) -> None:
    full = next(solutions([0] * 16, 4, random.Random(seed)))
    places = set(random.Random(seed).sample(range(16), kept))
    for grid in (cells, [digit if index in places else 0 for index, digit in enumerate(full)]):
        expected = brute_force(grid)
        assert sorted(solutions(grid, 4)) == sorted(expected)
        assert is_unique(grid, 4) == (len(expected) == 1)


def test_a_known_puzzle_is_solved() -> None:
    # 17 givens, from Gordon Royle's list of minimum Sudoku.
    known = "000000010400000000020000000000050407008000300001090000300400200050100000000806000"
    cells = [int(digit) for digit in known]
    (solution,) = solutions(cells, 9)
    assert grid_text(solution, 9).startswith("693784512\n487512936\n125963874")
    assert is_unique(cells, 9)
    assert not is_unique([0 if index == 7 else digit for index, digit in enumerate(cells)], 9)


def test_puzzles_are_found_up_to_the_most_blanks() -> None:
    for blanks in (40, MOST_BLANKS[9]):
        for seed in range(5):
            drawn = puzzle(9, blanks, random.Random(seed))
            assert drawn is not None
            cells, _ = drawn
            assert cells.count(0) == blanks and is_unique(cells, 9)


def test_too_many_blanks_are_refused() -> None:
    with pytest.raises(ConfigError, match="`blanks` is 11, but a grid of side 4 may have at most 10"):
        source("sudoku", size=4, blanks=11)
