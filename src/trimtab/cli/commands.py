"""The commands of `trimtab` in one app. Heavy imports come late: `trimtab --help` loads no torch."""

import typer

from trimtab.cli import (
    baseline,
    benching,
    chaos,
    controllers,
    data_commands,
    evidence,
    experimenting,
    hud,
    looking,
    losses,
    memory_commands,
    models,
    reporting,
    running,
    searching,
    thinking,
)
from trimtab.cli.output import say

app = typer.Typer(
    name="trimtab",
    help="Train small language models, and test by paired experiments whether a change helps. Runs are exactly reproducible.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
running.add_to(app)
looking.add_to(app)
experimenting.add_to(app)
reporting.add_to(app)
chaos.add_to(app)
baseline.add_to(app)
benching.add_to(app)
evidence.add_to(app)
losses.add_to(app)
models.add_to(app)
searching.add_to(app)
controllers.add_to(app)
memory_commands.add_to(app)
thinking.add_to(app)
hud.add_to(app)
data_commands.add_to(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from trimtab.version import __version__

        say(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(*context.get_help().split("\n"))
