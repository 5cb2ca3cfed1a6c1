"""The command `trimtab`. Heavy imports come late: `trimtab --help` loads no torch."""

import sys
from contextlib import suppress
from pathlib import Path

import typer

from trimtab.cli import (
    baseline,
    benching,
    chaos,
    evidence,
    experimenting,
    looking,
    losses,
    memory,
    models,
    reporting,
    running,
)
from trimtab.config.own_code import search
from trimtab.errors import TrimtabError

app = typer.Typer(
    name="trimtab",
    help="Train small language models as runs that can be saved, forked and replayed bit for bit.",
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
memory.add_to(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from trimtab import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line: 0 done, 1 the work failed, 2 the input was wrong, 130 interrupted."""
    with suppress(OSError):  # the folder may have been removed
        search([Path.cwd()])  # components of the user's own; nothing else is imported from there
    try:
        app()
    except TrimtabError as error:
        typer.echo(f"trimtab: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)  # the reader of our output left (`trimtab list | head`)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # `python -m` put the working folder there
    main()
