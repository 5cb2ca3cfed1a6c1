"""An experiment, a search or a memory run as a whole."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from trimtab.hud.chart import Options
from trimtab.hud.feed import View
from trimtab.hud.panels import Canvas
from trimtab.hud.panels.study import Study, study_of
from trimtab.hud.screens.base import HudScreen, bindings
from trimtab.hud.widgets import LineList, Words
from trimtab.hud.words import line


class StudyScreen(HudScreen):
    """The parts of a study on the left, what it found so far on the right."""

    place = "study"
    BINDINGS: ClassVar[list[BindingType]] = bindings("study")

    def __init__(self) -> None:
        super().__init__()
        self.study: Study | None = None

    @property
    def view(self) -> View | None:
        """The selected run."""
        return None if self.hud.selected is None else self.hud.poller.view(self.hud.selected)

    def body(self) -> ComposeResult:
        """The grid and what was found."""
        with Horizontal(id="study-body"):
            yield LineList(self._line, look=self.hud.look, id="grid")
            yield Words(self._side, id="study-side")

    def on_mount(self) -> None:
        """Titles."""
        grid = self.query_one("#grid", LineList)
        grid.border_title = "PARTS"
        grid.empty = "Select an experiment, a search or a memory run on the first screen."
        self.query_one("#study-side").border_title = "SO FAR"
        grid.focus()

    def title_text(self) -> Text:
        """The name and the question."""
        view, palette = self.view, self.hud.look.palette
        if view is None:
            return Text("nothing is selected", style=palette.dim)
        entry = self.hud.entry(view.main.folder)
        status = view.main.status if entry is None else entry.status
        glyph, colour = self.hud.look.state(status)
        text = Text(f"{line(view.main.folder.name, 30)} ", style=f"bold {palette.text}", end="")
        text.append(f"{glyph} {status.upper()}", colour)
        if entry is not None and entry.total:
            text.append(f" {entry.done}/{entry.total}", palette.text)
        question = self.study.question if self.study is not None else ""
        return text.append(f"  {line(question, 200)}", palette.dim)

    def records_changed(self) -> None:
        """Read the study anew."""
        view = self.view
        if view is None or not self.is_current:
            return
        with view.locked():
            self.study = study_of(view)
        with self.quietly():
            self.query_one("#grid", LineList).set_count(len(self.study.lines) if self.study else 0)
            self.query_one("#study-side", Words).refresh()
            self.redraw_lines()

    def _line(self, index: int, width: int, chosen: bool) -> Text:
        assert self.study is not None
        part = self.study.lines[index]
        look = self.hud.look
        text = Text(no_wrap=True, end="")
        text.append(f"{line(part.label, 30):<{min(30, width // 2)}} ", look.palette.text)
        for status in part.states:
            glyph, colour = look.state(status)
            text.append(f"{glyph} ", colour)
        return text.append(part.words, look.palette.dim)

    def _side(self, width: int, height: int) -> Text:
        view = self.view
        if view is None or self.study is None:
            return Text("")
        canvas = Canvas(width, height, self.hud.look, Options())
        with view.locked():
            return self.study.found(view, canvas)

    # --- keys ---

    def action_down(self) -> None:
        """The next part."""
        self.query_one("#grid", LineList).move(1)

    def action_up(self) -> None:
        """The part before."""
        self.query_one("#grid", LineList).move(-1)

    def action_first(self) -> None:
        """The first part."""
        self.query_one("#grid", LineList).go(0)

    def action_last(self) -> None:
        """The last part."""
        self.query_one("#grid", LineList).go(10**9)

    def action_page(self, direction: int) -> None:
        """A page."""
        self.query_one("#grid", LineList).page(direction)

    def action_open(self) -> None:
        """Open the run at the cursor."""
        if self.study is None:
            return
        cursor = self.query_one("#grid", LineList).cursor
        if cursor < len(self.study.lines) and (folder := self.study.lines[cursor].folder) is not None:
            self.hud.select(folder)
            self.hud.go("run")
