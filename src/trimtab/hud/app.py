"""The program of the terminal screen: it owns the poller, the selection and the screens."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.message import Message
from textual.screen import Screen

from trimtab.hud import control
from trimtab.hud.actions import RunActions
from trimtab.hud.fleet import Entry, Fleet
from trimtab.hud.keys import KEYS
from trimtab.hud.look import Look
from trimtab.hud.poller import Poller
from trimtab.hud.screens.base import HudScreen
from trimtab.hud.screens.confirm import ConfirmScreen
from trimtab.hud.screens.fleet import FleetScreen
from trimtab.hud.screens.help import HelpScreen
from trimtab.hud.style import css_for

if TYPE_CHECKING:
    from trimtab.hud.screens.launch import LaunchScreen

MARK_LIMIT = 6
"""Runs that can be compared: as many as there are colours of curves."""

_PACE = 0.25
"""Seconds between two drawings of changed records."""


class HudApp(App[None]):
    """The app. With `poll=False` nothing is read until `poll_once` (tests)."""

    ENABLE_COMMAND_PALETTE = True

    class Changed(Message):
        """The poller found something new."""

    def __init__(self, folder: Path, look: Look, *, selected: Path | None = None, poll: bool = True) -> None:
        self.look = look
        super().__init__()
        self.stylesheet.add_source(css_for(look), read_from=("trimtab.hud.style", ""))
        self.fleet = Fleet(folder)
        self.poller = Poller(self.fleet, self._announce)
        self.selected = selected
        self.marked: list[Path] = []
        self.note = ""
        self.run_actions = RunActions(self)
        self._poll = poll
        self._drawn = 0.0
        self._due = False
        self.places: dict[str, HudScreen] = {}

    def on_mount(self) -> None:
        """Read the folder, show it, and begin to follow it."""
        self.title = "trimtab hud"
        self.fleet.scan()
        self.push_screen(self._place("fleet"))
        if self.selected is not None:
            self.select(self.selected)
            self.poll_once()
            self.go("run")
        if self._poll:
            self.poller.start()

    def on_unmount(self) -> None:
        """End the poller; runs go on."""
        self.poller.stop()
        if "launch" in self.places:
            self.launch.validator.close()
        control.forget_started()

    # --- records ---

    def _announce(self) -> None:
        """Called by the poller, in its thread."""
        self.post_message(self.Changed())

    def poll_once(self) -> None:
        """Read what is new, now and in this thread."""
        self.poller.poll()

    def on_hud_app_changed(self) -> None:
        """Draw, at most four times a second."""
        if self._due:
            return
        wait = self._drawn + _PACE - time.monotonic()
        if wait <= 0:
            self.redraw()
        else:
            self._due = True
            self.set_timer(wait, self.redraw)

    def redraw(self) -> None:
        """Draw what changed, now."""
        self._due, self._drawn = False, time.monotonic()
        control.reap()
        if isinstance(self.screen, HudScreen):
            self.screen.records_changed()

    def entry(self, folder: Path | None) -> Entry | None:
        """The fleet's entry for a folder."""
        return next((entry for entry in self.fleet.entries if entry.folder == folder), None)

    def select(self, folder: Path) -> None:
        """Make a run the selected one, and follow it."""
        if folder != self.selected or not self.poller.watched(folder):
            self.selected = folder
            self._watch()

    def _watch(self) -> None:
        chosen = [] if self.selected is None else [self.selected]
        on_compare = self.screen is self.places.get("compare")
        self.poller.watch([*chosen, *(self.marked if on_compare else ())])

    def mark_selected(self) -> None:
        """Mark the selected run for comparison, or take its mark away."""
        if self.selected is None:
            return
        if self.selected in self.marked:
            self.marked.remove(self.selected)
        elif len(self.marked) < MARK_LIMIT:
            self.marked.append(self.selected)
        else:
            self.say(f"{MARK_LIMIT} runs are marked, which is as many as can be compared. Take a mark away first.")
        self.redraw()

    # --- screens ---

    def go(self, place: str) -> None:
        """Show a screen."""
        screen = self._place(place)
        if self.screen is not screen:
            self.switch_screen(screen)
        self.call_later(self._arrive)

    def _arrive(self) -> None:
        self._watch()
        self.redraw()

    @property
    def launch(self) -> "LaunchScreen":
        """The screen that starts runs."""
        from trimtab.hud.screens.launch import LaunchScreen

        screen = self._place("launch")
        assert isinstance(screen, LaunchScreen)
        return screen

    def _place(self, name: str) -> HudScreen:
        """A screen; it is imported and made when it is first shown, so that the program starts quickly."""
        if name not in self.places:
            self.places[name] = self._made(name)
            self.install_screen(self.places[name], name)  # one that is not installed ends when another takes its place
        return self.places[name]

    def _made(self, name: str) -> HudScreen:
        match name:
            case "fleet":
                return FleetScreen()
            case "run":
                from trimtab.hud.screens.run import RunScreen

                return RunScreen()
            case "launch":
                from trimtab.hud.screens.launch import LaunchScreen

                return LaunchScreen(self.fleet.folder)
            case "compare":
                from trimtab.hud.screens.compare import CompareScreen

                return CompareScreen()
            case _:
                from trimtab.hud.screens.study import StudyScreen

                return StudyScreen()

    def draft_fork(self, run: Path, at: int) -> None:
        """Show the launch screen with a fork of a run."""
        self.launch.fork(run, at)
        self.go("launch")

    def ask(self, question: str, then: Callable[[], None]) -> None:
        """Ask a question; `then` is called for yes."""
        self.push_screen(ConfirmScreen(question), lambda yes: then() if yes else None)

    def show_help(self, place: str) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen(place))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key of the table, by what it does."""
        for key in KEYS:
            if isinstance(screen, HudScreen) and (screen.place in key.screens or "everywhere" in key.screens):
                yield SystemCommand(key.help, f"key {key.written}", self._runner(screen, key.action))

    def _runner(self, screen: HudScreen, action: str) -> Callable[[], None]:
        def run() -> None:
            self.call_later(screen.run_action, action)

        return run

    # --- words ---

    def say(self, text: str) -> None:
        """Show a sentence in the last line until the next key."""
        self.note = text
        self._refresh_last()

    def on_key(self) -> None:
        """A key takes the sentence away."""
        if self.note:
            self.note = ""
            self._refresh_last()

    def _refresh_last(self) -> None:
        with contextlib.suppress(Exception):
            self.screen.query_one("#last").refresh()

    def copy(self, command: Sequence[str]) -> None:
        """Copy a command to the clipboard of the terminal (OSC 52)."""
        import shlex

        text = shlex.join(command)
        self.copy_to_clipboard(text)
        self.say(f"Copied: {text}")

    def snapshot(self) -> None:
        """Write the screen as an SVG file that loads nothing from the network."""
        folder = control.hud_folder(self.fleet.folder)
        path = folder / f"screen-{time.strftime('%Y%m%d-%H%M%S')}.svg"
        path.write_text(offline_svg(self.export_screenshot(title=self.title)), encoding="utf-8")
        self.say(f"Written: {path}")


def offline_svg(svg: str) -> str:
    """An SVG of the screen without the fonts that it would load from a server: the reader's own are used."""
    start = svg.find("@font-face")
    while start >= 0:
        svg = svg[:start] + svg[svg.index("}", start) + 1 :]
        start = svg.find("@font-face")
    return svg.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
