"""What all screens share: the line of states above, the keys below, and the actions of keys that work everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Input

from trimtab.hud.host import Host
from trimtab.hud.keys import footer, keys_of
from trimtab.hud.plain import summary_lines
from trimtab.hud.widgets import Words

SMALLEST = (60, 16)
"""Below this size a summary in words takes the place of the screen."""


def bindings(screen: str) -> list[BindingType]:
    """The bindings of a screen, from the table of keys.

    With priority a key has its effect before the next one is looked at, so letters typed quickly after `/` are in the filter.
    """
    return [Binding(key.keys, key.action, key.help, show=False, priority=True) for key in keys_of(screen)]


class HudScreen(Screen[None]):
    """Base of the screens. `title_text` is the first line; `records_changed` is called when records did."""

    place: ClassVar[str] = ""

    @property
    def hud(self) -> Host:
        """The app."""
        return cast(Host, self.app)

    def compose(self) -> ComposeResult:
        """The first line, the body, the last line, and the summary that replaces them on a small terminal."""
        yield Words(self._first_line, id="first")
        yield from self.body()
        yield Words(self._last_line, id="last")
        yield Words(self._summary, id="summary")

    def body(self) -> ComposeResult:
        """The widgets between the first and the last line."""
        raise NotImplementedError

    def title_text(self) -> Text:
        """What the first line says after the name of the screen."""
        return Text("")

    def records_changed(self) -> None:
        """Draw what changed."""

    def on_resize(self) -> None:
        """Choose between the screen and the summary."""
        small = self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]
        self.set_class(small, "small")
        self.set_class(self.size.width < 100, "narrow")
        self.set_class(self.size.height < 30, "low")
        self.fit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is typed, keys are text; only Esc is not."""
        return action == "leave" or not isinstance(self.focused, Input)

    def fit(self) -> None:
        """Adapt to a new size."""

    def redraw_lines(self) -> None:
        """Draw the first line and the summary again."""
        with self.quietly():
            self.query_one("#first", Words).refresh()
            if self.has_class("small"):
                self.query_one("#summary", Words).refresh()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """For calls that come before the screen is composed or after it is gone."""
        try:
            yield
        except NoMatches:
            return

    def _first_line(self, width: int, height: int) -> Text:
        palette = self.hud.look.palette
        text = Text(no_wrap=True, end="")
        text.append(f" {self.place.upper()} ", f"bold {palette.background} on {palette.accent}").append(" ")
        text.append_text(self.title_text())
        text.truncate(width, overflow="ellipsis", pad=True)
        return text

    def _last_line(self, width: int, height: int) -> Text:
        palette = self.hud.look.palette
        if self.hud.note:
            text = Text(self.hud.note, style=palette.warning, no_wrap=True, end="")
            text.truncate(width, overflow="ellipsis")
            return text
        text = Text(no_wrap=True, end="")
        keys = footer(self.place)
        room = width - sum(len(key) + len(words) + 3 for key, words in keys[-2:])  # help and quit are always shown
        for index, (key, words) in enumerate(keys):
            if index < len(keys) - 2 and len(text.plain) + len(key) + len(words) + 3 > room:
                continue
            text.append(f" {key} ", f"bold {palette.accent}").append(f"{words} ", palette.dim)
        text.truncate(width)
        return text

    def _summary(self, width: int, height: int) -> Text:
        lines = summary_lines(self.hud.fleet.entries, self.hud.look)[:height]
        return Text("\n".join(line[:width] for line in lines), style=self.hud.look.palette.text, end="")

    # --- keys that work everywhere ---

    def action_go(self, place: str) -> None:
        """Show another screen."""
        self.hud.go(place)

    def action_help(self) -> None:
        """Show the keys."""
        self.hud.show_help(self.place)

    async def action_quit(self) -> None:
        """End the program; runs go on."""
        self.hud.exit()

    def action_snapshot(self) -> None:
        """Write the screen as a picture."""
        self.hud.snapshot()

    def action_leave(self) -> None:
        """Back to all runs."""
        self.hud.go("fleet")

    def action_command_palette(self) -> None:
        """Show every command by name."""
        self.hud.action_command_palette()

    # --- keys for runs, the same on the screens that show one ---

    def action_mark(self) -> None:
        """Mark the selected run, or take the mark away."""
        self.hud.mark_selected()

    def action_stop(self) -> None:
        """Stop the selected run after a checkpoint."""
        self.hud.run_actions.stop()

    def action_kill(self) -> None:
        """Kill the selected run, after a question."""
        self.hud.run_actions.kill()

    def action_resume(self) -> None:
        """Resume the selected run."""
        self.hud.run_actions.resume()

    def action_fork(self) -> None:
        """Prepare a fork of the selected run."""
        self.hud.run_actions.fork(None)
