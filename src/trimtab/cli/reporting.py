"""`trimtab report`: the report of an experiment or of a memory run, from its records."""

from pathlib import Path
from typing import Annotated

import typer

from trimtab.boundary import user_path
from trimtab.cli.output import say, working


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(report)


@working()
def report(
    folder: Annotated[Path, typer.Argument(parser=user_path, help="The folder of an experiment or of a memory run.")],
) -> None:
    """Write the report of an experiment or of a memory run.

    report.html, which opens offline, report.md and the plots are written into the folder.

    trimtab report runs/experiment
    """
    from trimtab.reports.kinds import write_report

    for path in write_report(folder):
        say(str(path))
