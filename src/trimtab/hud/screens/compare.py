"""Marked runs together: their curves, the keys in which they differ, and the first step that differs."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message

from trimtab.config.describe import value_text
from trimtab.errors import TrimtabError
from trimtab.hud.chart import Chart, curve_of
from trimtab.hud.curves import CurveKeys
from trimtab.hud.feed import View
from trimtab.hud.screens.base import HudScreen, bindings
from trimtab.hud.widgets import LineList, Words, columns_text
from trimtab.hud.words import line, number
from trimtab.records.compare import ABSENT, config_delta, first_difference
from trimtab.records.run_directory import RunDirectory


class CompareScreen(CurveKeys, HudScreen):
    """The marked runs; without marks, the selected one alone."""

    place = "compare"
    BINDINGS: ClassVar[list[BindingType]] = bindings("compare")

    class Compared(Message):
        """The first differing steps are known."""

        def __init__(self, found: dict[Path, str]) -> None:
            super().__init__()
            self.found = found

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, list[str]]] = []
        self.first_differences: dict[Path, str] = {}
        self._asked: object = None

    @property
    def views(self) -> list[View]:
        """The runs that are compared."""
        folders = self.hud.marked or ([] if self.hud.selected is None else [self.hud.selected])
        return [self.hud.poller.view(folder) for folder in folders]

    def body(self) -> ComposeResult:
        """The curves above, the table of differences below."""
        yield Words(self._curves, id="curves")
        yield LineList(self._line, look=self.hud.look, id="differences")

    def on_mount(self) -> None:
        """Titles."""
        self.query_one("#curves").border_title = "LOSS"
        differences = self.query_one("#differences", LineList)
        differences.border_title, differences.empty = "DIFFERING KEYS", "The configs are the same."
        differences.focus()

    def title_text(self) -> Text:
        """How many runs, and over what."""
        palette, views = self.hud.look.palette, self.views
        axis = {"step": "steps", "tokens": "tokens", "elapsed": "time"}[self.options.axis]
        if len(views) < 2:
            return Text("Mark runs with Space on the first screen, and press c.", style=palette.warning)
        return Text(f"{len(views)} runs over {axis}", style=palette.text)

    def records_changed(self) -> None:
        """Draw the curves and the differences."""
        views = self.views
        configs = [view.stage.config for view in views]
        self.rows = differing(configs)
        self._ask(views)
        with self.quietly():
            self.query_one("#differences", LineList).set_count(len(self.rows) + len(views))
            self.query_one("#curves", Words).refresh()
            self.redraw_lines()

    def curves_changed(self) -> None:
        """Draw with the new options."""
        self.records_changed()

    def _ask(self, views: Sequence[View]) -> None:
        """Look for the first differing step, in a thread, where the records are new."""
        state = tuple((view.stage.folder, view.stage.steps.rows) for view in views)
        idle = not any(view.stage.running for view in views)
        if len(views) < 2 or state == self._asked or not idle or any(rows > 200_000 for _, rows in state):
            return
        self._asked = state
        folders = [view.stage.folder for view in views]

        def look() -> None:
            found = {folder: first_step(folders[0], folder) for folder in folders[1:]}
            if self.is_attached:
                self.post_message(self.Compared(found))

        threading.Thread(target=look, daemon=True, name="differences").start()

    def on_compare_screen_compared(self, event: "CompareScreen.Compared") -> None:
        """Show the first differing steps."""
        self.first_differences = event.found
        self.records_changed()

    def _curves(self, width: int, height: int) -> Text:
        look, curves = self.hud.look, []
        for index, view in enumerate(self.views):
            with view.locked():
                label = line(view.main.folder.name, 14)
                curves.append(
                    curve_of(
                        view.stage.steps, "train_loss", label, look.curve(index), self.options, dashed=index % 2 == 1
                    )
                )
        return Chart(curves).text(width, height, look, self.options)

    def _line(self, index: int, width: int, chosen: bool) -> Text:
        look, views = self.hud.look, self.views
        if index < len(views):
            view = views[index]
            glyph, colour = look.state(view.main.status)
            said = (
                "the first"
                if index == 0
                else self.first_differences.get(view.stage.folder, "first difference: not looked up")
            )
            with view.locked():
                loss = number(view.stage.steps.last("train_loss"))
            name = max(10, min(30, width // 3))
            return columns_text(
                [
                    (glyph, 1, colour),
                    (line(view.main.folder.name, name), name, look.curve(index)),
                    (f"loss {loss}", 12, look.palette.text),
                    (said, max(10, width - name - 16), look.palette.dim),
                ]
            )
        key, values = self.rows[index - len(views)]
        room = max(8, (width - 30) // max(1, len(values)) - 1)
        cells = [(line(value, room), room, look.curve(place)) for place, value in enumerate(values)]
        return columns_text([(key, min(30, width // 3), look.palette.text), *cells])

    # --- keys ---

    def action_down(self) -> None:
        """The next line."""
        self.query_one("#differences", LineList).move(1)

    def action_up(self) -> None:
        """The line before."""
        self.query_one("#differences", LineList).move(-1)

    def action_first(self) -> None:
        """The first line."""
        self.query_one("#differences", LineList).go(0)

    def action_last(self) -> None:
        """The last line."""
        self.query_one("#differences", LineList).go(10**9)

    def action_page(self, direction: int) -> None:
        """A page."""
        self.query_one("#differences", LineList).page(direction)

    def action_open(self) -> None:
        """Open the run at the cursor."""
        cursor = self.query_one("#differences", LineList).cursor
        if cursor < len(self.views):
            self.hud.select(self.views[cursor].main.folder)
            self.hud.go("run")


def differing(configs: Sequence[Any]) -> list[tuple[str, list[str]]]:
    """The keys in which any config differs from the first, and each config's value."""
    if len(configs) < 2:
        return []
    values: dict[str, list[Any]] = {}
    for place, other in enumerate(configs[1:], 1):
        for key, first, second in config_delta(configs[0], other):
            values.setdefault(key, [first] * len(configs))[place] = second
    return [(key, ["(absent)" if one is ABSENT else value_text(one) for one in row]) for key, row in values.items()]


def first_step(one: Path, other: Path) -> str:
    """The first step at which two runs differ, in words."""
    try:
        found = first_difference(RunDirectory(one), RunDirectory(other))
    except TrimtabError as error:
        return line(str(error), 200)
    return "every step is equal to the first run's" if found is None else f"first difference: {found.message}"
