"""One run: its state, the loss, and the panels of its kind."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from trimtab.hud.chart import Options
from trimtab.hud.curves import CurveKeys
from trimtab.hud.feed import View
from trimtab.hud.panels import Canvas, Panel, panels_for
from trimtab.hud.panels.training import length_line
from trimtab.hud.screens.base import HudScreen, bindings
from trimtab.hud.widgets import PanelBox
from trimtab.hud.words import duration, line

TILE = (34, 8)
"""The least columns and lines of a tile."""


class RunScreen(CurveKeys, HudScreen):
    """The screen of a run."""

    place = "run"
    BINDINGS: ClassVar[list[BindingType]] = bindings("run")

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, ...] = ()
        self._first_tile = 0
        self._tiles: list[PanelBox] = []
        self._maximised: str | None = None

    @property
    def view(self) -> View | None:
        """The run that is shown."""
        selected = self.hud.selected
        return None if selected is None else self.hud.poller.view(selected)

    def body(self) -> ComposeResult:
        """An empty grid; the panels come with the run."""
        yield Container(id="panels")

    def on_mount(self) -> None:
        """Show the run."""
        self.records_changed()

    def on_screen_resume(self) -> None:
        """Another run may be selected."""
        self.records_changed()

    def title_text(self) -> Text:
        """The name, the state, the progress and the length of the rows."""
        view, palette = self.view, self.hud.look.palette
        if view is None:
            return Text("no run is selected", style=palette.dim)
        entry = self.hud.entry(view.main.folder)
        status = view.main.status if entry is None or entry.status == "damaged" else entry.status
        glyph, colour = self.hud.look.state(status)
        text = Text(f"{line(view.main.folder.name, 24)} ", style=f"bold {palette.text}", end="")
        text.append(f"{glyph} {status.upper()}", colour)
        if entry is not None and entry.total:
            text.append(f" {entry.done}/{entry.total}", palette.text)
        if entry is not None and entry.left is not None:
            text.append(f" eta {duration(entry.left)}", palette.dim)
        if view.part:
            text.append(f"  part {view.part}", palette.warning)
        if not view.stage.complete:
            text.append("  reading", palette.warning)
        with view.locked():
            text.append("  ").append_text(length_line(view, Canvas(60, 1, self.hud.look)))
        if view.main.problem:
            text = Text(line(view.main.problem, 200), style=palette.bad, end="")
        return text

    def records_changed(self) -> None:
        """Compose the panels of the run's kind, and draw what changed."""
        view = self.view
        if view is None or not self.is_current:
            return
        panels = panels_for(view)
        names = (str(view.main.folder), *(panel.name for panel in panels))
        if names != self._shown:
            self._shown = names
            self.call_later(self._compose_panels, panels)
        with self.quietly():
            for box in self.query(PanelBox):
                box.refresh_if_changed()
            self.redraw_lines()

    async def _compose_panels(self, panels: list[Panel]) -> None:
        grid = self.query_one("#panels", Container)
        await grid.remove_children()
        boxes = [PanelBox(panel, lambda: self.view, self.hud.look, self._options) for panel in panels]
        self._first_tile, self._maximised = 0, None
        await grid.mount_all(boxes)
        self.fit()
        if boxes and (self.focused is None or not isinstance(self.focused, PanelBox)):
            boxes[0].focus()

    def _options(self) -> Options:
        return self.options

    # --- layout ---

    def fit(self) -> None:
        """Place the panels: the loss and the vitals above, as many tiles below as fit, the others on Tab."""
        with self.quietly():
            grid = self.query_one("#panels", Container)
            boxes = list(grid.query(PanelBox))
            width, height = self.size.width, self.size.height - 2
            if not boxes or width < 10 or height < 4:
                return
            if self._maximised is not None:
                for box in boxes:
                    box.display = box.panel.name == self._maximised
                    _put(box, 0, 0, width, height)
                return
            self._place(boxes, width, height)

    def _place(self, boxes: list[PanelBox], width: int, height: int) -> None:
        main = [box for box in boxes if box.panel.place == "main"]
        narrow = width < 100
        side = [box for box in boxes if box.panel.place == "side"][: 2 if height >= 28 and not narrow else 1]
        self._tiles = tiles = [box for box in boxes if box not in main and box not in side]
        across = max(1, width // TILE[0])
        down = 2 if height >= 28 and len(tiles) > across else 1
        if not main and not side:
            down = max(1, height // TILE[1])
        top = 0 if not (main or side) else max(7, height - down * max(TILE[1], (height * 2 // 5) // down))
        if not tiles:
            top = height
        beside = 0 if narrow or not side else max(30, width // 3)
        if narrow and side and main:
            low = 6 if height >= 20 else 4
            _row(main, 0, 0, width, max(4, top - low))
            _row(side, 0, max(4, top - low), width, low)
        else:
            _row(main, 0, 0, width - beside, top)
            _stack(side, width - beside, 0, beside, top)
        room = across * down
        self._first_tile = min(self._first_tile, max(0, len(tiles) - 1))
        first = self._first_tile // room * room
        shown = tiles[first : first + room]
        for box in tiles:
            box.display = box in shown
        across = min(across, len(shown)) or 1
        lines = -(-len(shown) // across)
        for index, box in enumerate(shown):
            row, column = divmod(index, across)
            left, right = column * width // across, (column + 1) * width // across
            if row == lines - 1 and index == len(shown) - 1:
                right = width
            upper, lower = top + row * (height - top) // lines, top + (row + 1) * (height - top) // lines
            _put(box, left, upper, right - left, lower - upper)

    # --- keys ---

    def curves_changed(self) -> None:
        """Draw with the new options."""
        for box in self.query(PanelBox):
            box.refresh_if_changed()

    def _step(self, by: int) -> None:
        boxes = list(self.query(PanelBox))
        if not boxes:
            return
        now = boxes.index(self.focused) if isinstance(self.focused, PanelBox) and self.focused in boxes else -1
        box = boxes[(now + by) % len(boxes)]
        if box in self._tiles:
            self._first_tile = self._tiles.index(box)
        if self._maximised is not None:
            self._maximised = box.panel.name
        self.fit()
        box.focus()

    def action_next_panel(self) -> None:
        """The next panel; tiles that have no room come into view."""
        self._step(1)

    def action_down(self) -> None:
        """The next panel."""
        self._step(1)

    def action_up(self) -> None:
        """The panel before."""
        self._step(-1)

    def action_maximise(self) -> None:
        """The panel in all of the screen, and back."""
        if self._maximised is None and isinstance(self.focused, PanelBox):
            self._maximised = self.focused.panel.name
        else:
            self._maximised = None
            for box in self.query(PanelBox):
                box.display = True
        self.fit()

    def action_next_part(self) -> None:
        """The next part of the run."""
        if self.view is not None:
            self.view.choose_next()
            self.hud.poller.hurry()
            self.records_changed()

    def action_fork(self) -> None:
        """Prepare a fork at the crosshair, or at the last checkpoint."""
        view = self.view
        place = None
        if view is not None and self.options.cross is not None and self.options.axis == "step":
            with view.locked():
                steps = view.stage.steps.places("step")
            if steps:
                place = round(self.place_of_cross(min(steps), max(steps)))
        self.hud.run_actions.fork(place)

    def action_copy(self) -> None:
        """Copy the command that made the run."""
        view = self.view
        if view is not None and view.main.manifest is not None:
            self.hud.copy(view.main.manifest.command)

    def action_leave(self) -> None:
        """Back from the maximised panel, or to all runs."""
        if self._maximised is not None:
            self.action_maximise()
        else:
            self.hud.go("fleet")


def _row(boxes: list[PanelBox], left: int, top: int, width: int, height: int) -> None:
    """Boxes beside each other."""
    for index, box in enumerate(boxes):
        box.display = width > 0 and height > 2
        start, end = index * width // len(boxes), (index + 1) * width // len(boxes)
        _put(box, left + start, top, end - start, height)


def _stack(boxes: list[PanelBox], left: int, top: int, width: int, height: int) -> None:
    """Boxes above each other."""
    for index, box in enumerate(boxes):
        box.display = width > 0
        start, end = top + index * height // len(boxes), top + (index + 1) * height // len(boxes)
        _put(box, left, start, width, end - start)


def _put(box: Widget, left: int, top: int, width: int, height: int) -> None:
    box.styles.offset = (left, top)
    box.styles.width, box.styles.height = max(1, width), max(1, height)
