"""What screens and actions need of the app."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from trimtab.hud.fleet import Entry, Fleet
from trimtab.hud.look import Look
from trimtab.hud.poller import Poller


class Actions(Protocol):
    """What keys do to the selected run."""

    def stop(self) -> None:
        """Stop it after a checkpoint."""

    def kill(self) -> None:
        """Kill it, after a question."""

    def resume(self) -> None:
        """Resume it."""

    def fork(self, step: int | None) -> None:
        """Prepare a fork of it at a step."""


class Host(Protocol):
    """The app, as screens and actions see it.

    `selected` is the run that they are about, `marked` the runs to compare, `note` a sentence in the last line.
    """

    look: Look
    fleet: Fleet
    poller: Poller
    selected: Path | None
    marked: list[Path]
    note: str

    @property
    def run_actions(self) -> Actions:
        """What keys do to the selected run."""

    def entry(self, folder: Path | None) -> Entry | None:
        """The fleet's entry for a folder."""

    def select(self, folder: Path) -> None:
        """Make a run the selected one."""

    def mark_selected(self) -> None:
        """Mark the selected run, or take its mark away."""

    def go(self, place: str) -> None:
        """Show a screen."""

    def draft_fork(self, run: Path, at: int) -> None:
        """Show the launch screen with a fork of a run."""

    def show_help(self, place: str) -> None:
        """Show the keys."""

    def ask(self, question: str, then: Callable[[], None]) -> None:
        """Ask a question; `then` is called for yes."""

    def say(self, text: str) -> None:
        """Show a sentence in the last line."""

    def copy(self, command: Sequence[str]) -> None:
        """Copy a command to the clipboard."""

    def snapshot(self) -> None:
        """Write the screen as a picture."""

    def exit(self) -> Any:
        """End the program."""

    def action_command_palette(self) -> None:
        """Show every command by name."""
