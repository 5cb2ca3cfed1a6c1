"""The command `hud`: a terminal screen for runs."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from trimtab.boundary import user_path
from trimtab.cli.output import say
from trimtab.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(hud)


def hud(
    folder: Annotated[Path, typer.Argument(parser=user_path, help="The folder that contains the runs.")] = Path("runs"),
    plain: Annotated[bool, typer.Option("--plain", help="Print the state of the runs as lines, and end.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="With --plain: print changes until no run is running.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Replay a recorded run that ships with Trimtab.")] = False,
    speed: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="With --demo: how many times as fast as it was.")
    ] = 10.0,
    theme: Annotated[Literal["dark", "contrast"], typer.Option(help="The colours.")] = "dark",
    glyphs: Annotated[
        Literal["auto", "braille", "block", "ascii"], typer.Option(help="What curves are drawn with.")
    ] = "auto",
) -> None:
    """Watch, start, stop and compare runs in one terminal screen.

    Runs are processes of their own: they go on when the screen is closed. Press ? for the keys.

    trimtab hud runs

    trimtab hud --demo
    """
    if plain:
        from trimtab.hud import print_state

        if not folder.is_dir():
            raise ConfigError(f"There is no folder {folder}. Name the folder that contains the runs.")
        print_state(folder, say, follow=follow)
        return
    if find_spec("textual") is None:
        raise ConfigError(
            "The screen needs Textual. Install it with: pip install 'trimtab[hud]'. `--plain` works without it."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file. Name the folder that contains the runs.")
    import sys

    if not sys.stdout.isatty():
        raise ConfigError("The screen needs a terminal. In a pipe use `trimtab hud --plain`.")
    from trimtab.hud import start_demo, start_hud

    if demo:
        start_demo(say, speed=speed, theme=theme, glyphs=glyphs)
        return
    folder.mkdir(parents=True, exist_ok=True)
    start_hud(folder, theme=theme, glyphs=glyphs)
