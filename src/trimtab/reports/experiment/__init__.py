"""The report of a paired experiment, from the records in its folder alone."""

from pathlib import Path

from trimtab.config.errors import RunError
from trimtab.records.atomic import write_text

__all__ = ["write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `plots/*.svg` into an experiment's folder and return their paths.

    The page is one file that opens offline. The same records give the same bytes. An experiment that is running or was
    interrupted is reported as far as it came, without a verdict. Raises `RunError` for a folder that holds no experiment or a
    damaged one, `WorkError` when the disk refuses.
    """
    from trimtab.reports.experiment.page import compose, html, markdown
    from trimtab.reports.experiment.records import read_records

    folder = Path(folder)
    report = compose(read_records(folder))
    plots = folder / "plots"
    try:
        plots.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the folder {plots}: {error.strerror}. Move what stands there.") from error
    texts = {folder / "report.html": html(report), folder / "report.md": markdown(report)}
    texts |= {plots / f"{plot.name}.svg": plot.svg for plot in report.plots}
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)
