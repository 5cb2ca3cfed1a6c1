"""Plain-text tables: no markup is interpreted, and one long cell does not widen every row."""

from collections.abc import Collection, Iterable, Sequence

from trimtab.boundary import printable, shortened
from trimtab.cli.output import say

_LONGEST_CELL = 400
"""Characters of a cell that are shown: more than any name of a file has."""

_WIDEST_COLUMN = 100
"""Up to this width a cell widens its column; a wider one shifts only its own row."""


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = ()) -> None:
    """Print `rows` under their columns' names; columns in `right` are aligned to the right.

    A cell of more than 400 characters is shortened and says how many are missing.
    """
    from rich.cells import cell_len

    table = [list(columns), *([shortened(printable(cell), _LONGEST_CELL) for cell in row] for row in rows)]
    widths = [
        max((width for width in map(cell_len, cells) if width <= _WIDEST_COLUMN), default=0)
        for cells in zip(*table, strict=True)
    ]
    for row in table:
        padded = [
            " " * (width - cell_len(cell)) + cell if name in right else cell + " " * (width - cell_len(cell))
            for name, width, cell in zip(columns, widths, row, strict=True)
        ]
        say("  ".join(padded).rstrip())
