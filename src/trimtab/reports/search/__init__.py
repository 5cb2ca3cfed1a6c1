"""The report of a search, from the records in its folder alone."""

from pathlib import Path

__all__ = ["write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `plots/*.svg` into a search's folder and return their paths.

    The page is one file that opens offline. The same records give the same bytes. A search that has not ended is reported as
    far as its log goes. Raises `RunError` for a folder that holds no search or a damaged one, `WorkError` when the disk
    refuses.
    """
    from trimtab.reports.page import write_pages
    from trimtab.reports.search.page import compose
    from trimtab.reports.search.records import read_records

    folder = Path(folder)
    return write_pages(compose(read_records(folder)), folder)
