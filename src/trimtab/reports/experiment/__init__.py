"""The report of a paired experiment, from the records in its folder alone."""

from pathlib import Path

__all__ = ["write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `plots/*.svg` into an experiment's folder and return their paths.

    The page is one file that opens offline. The same records give the same bytes. An experiment that is running or was
    interrupted is reported as far as it came, without a verdict. Raises `RunError` for a folder that holds no experiment or a
    damaged one, `WorkError` when the disk refuses.
    """
    from trimtab.reports.experiment.page import compose
    from trimtab.reports.experiment.records import read_records
    from trimtab.reports.page import write_pages

    folder = Path(folder)
    return write_pages(compose(read_records(folder)), folder)
