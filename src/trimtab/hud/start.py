"""Starting the screen: the terminal is left as it was, whatever ends it."""

from collections.abc import Callable
from pathlib import Path

from trimtab.hud.look import look_for
from trimtab.hud.terminal import restored


def start_hud(folder: Path, *, theme: str = "dark", glyphs: str = "auto", selected: Path | None = None) -> None:
    """Show the runs in a folder until the person quits. Runs go on."""
    from trimtab.hud.app import HudApp

    app = HudApp(folder, look_for(theme, glyphs), selected=selected)

    def end() -> None:
        app.call_later(app.exit)

    with restored(end):
        app.run()


def start_demo(say: Callable[[str], None], *, speed: float = 20.0, theme: str = "dark", glyphs: str = "auto") -> None:
    """Replay the packed run, `speed` times as fast as it was, in a temporary folder that is removed afterwards."""
    from trimtab.hud.demo import replayed

    with replayed(speed) as (folder, run):
        start_hud(folder, theme=theme, glyphs=glyphs, selected=run)
    say("That was a replay of a recorded run. Start one of your own: trimtab hud, then n.")
