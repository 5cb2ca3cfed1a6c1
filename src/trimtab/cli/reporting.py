"""`trimtab report`: an experiment's report, drawn anew from its records."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(report)


def report(
    folder: Annotated[Path, typer.Argument(help="An experiment's folder (what `trimtab run` was given as --out).")],
) -> None:
    """Draw an experiment's report from its records: report.html, which opens offline, report.md and plots.

    trimtab report runs/experiment
    """
    from trimtab.reports.experiment import write_report

    for path in write_report(folder):
        typer.echo(str(path))
