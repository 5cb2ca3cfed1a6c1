"""The report of a memory run, from the records in its folder alone."""

from pathlib import Path

__all__ = ["write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `plots/*.svg` into a memory run's folder and return their paths.

    The page is one file that opens offline. The same records give the same bytes. A run that is running, stopped or
    interrupted is reported as far as its records go; each section says what is missing and why. Raises `RunError` for a folder
    that holds no memory run or a damaged one, `WorkError` when the disk refuses.
    """
    from trimtab.reports.memory.page import compose
    from trimtab.reports.memory.records import read_records
    from trimtab.reports.page import write_pages

    folder = Path(folder)
    return write_pages(compose(read_records(folder)), folder)
