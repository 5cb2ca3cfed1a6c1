"""A table of plain text in which nothing is cut, escaped or taken for markup."""

from collections.abc import Collection, Iterable, Sequence

from trimtab.boundary import printable
from trimtab.cli.output import say


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = ()) -> None:
    """Print `rows` under their columns' names, as wide as the widest cell; columns in `right` are aligned to the right."""
    from rich.cells import cell_len

    table = [list(columns), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, cells)) for cells in zip(*table, strict=True)]
    for row in table:
        padded = [
            " " * (width - cell_len(cell)) + cell if name in right else cell + " " * (width - cell_len(cell))
            for name, width, cell in zip(columns, widths, row, strict=True)
        ]
        say("  ".join(padded).rstrip())
