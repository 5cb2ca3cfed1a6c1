"""All runs and experiments of a folder, and a preview of the selected one."""

from typing import ClassVar

import psutil
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from trimtab.hud.chart import Chart, Options, curve_of
from trimtab.hud.filters import Filter
from trimtab.hud.fleet import Entry
from trimtab.hud.panels import Canvas
from trimtab.hud.panels.training import marks
from trimtab.hud.raster import bar
from trimtab.hud.screens.base import HudScreen, bindings
from trimtab.hud.widgets import LineList, Words, columns_text
from trimtab.hud.words import count, duration, line, number


class FleetScreen(HudScreen):
    """The list of runs."""

    place = "fleet"
    BINDINGS: ClassVar[list[BindingType]] = bindings("fleet")

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Entry] = []
        self._filter = Filter("")

    def body(self) -> ComposeResult:
        """The list, the preview and the filter."""
        with Horizontal(id="fleet-body"):
            yield LineList(self._line, look=self.hud.look, id="runs")
            yield Words(self._preview, id="preview")
        yield Input(placeholder="filter: words, status:running, lr>0.001", id="filter", compact=True)

    def on_mount(self) -> None:
        """Begin with the list."""
        runs = self.query_one("#runs", LineList)
        runs.border_title = "RUNS"
        runs.empty = f"No runs in {self.hud.fleet.folder}. Press n to start one."
        self.query_one("#preview").border_title = "PREVIEW"
        self.query_one("#filter").display = False
        runs.focus()
        self.records_changed()

    def title_text(self) -> Text:
        """The folder, how many runs are running, and the load of the machine."""
        palette, entries = self.hud.look.palette, self.hud.fleet.entries
        running = sum(entry.status == "running" for entry in entries)
        memory = psutil.virtual_memory()
        text = Text(f"{self.hud.fleet.folder}/  ", style=palette.text, end="")
        text.append(f"{running} running", palette.good if running else palette.dim)
        text.append(f" of {len(entries)}", palette.dim)
        if self.hud.marked:
            text.append(f"  {len(self.hud.marked)} marked", palette.warning)
        used, total = (memory.total - memory.available) / 2**30, memory.total / 2**30
        return text.append(f"  cpu {psutil.cpu_percent():.0f}%  mem {used:.1f}/{total:.0f}G", palette.dim)

    def records_changed(self) -> None:
        """Show the entries that pass the filter; the cursor stays on its run."""
        selected = self.hud.selected
        self.shown = [entry for entry in self.hud.fleet.entries if self._passes(entry)]
        with self.quietly():
            runs = self.query_one("#runs", LineList)
            places = [index for index, entry in enumerate(self.shown) if entry.folder == selected]
            runs.set_count(len(self.shown))
            if places:
                runs.cursor = places[0]
            elif self.shown:
                self._select(runs.cursor)
            self.query_one("#preview", Words).refresh()
            self.redraw_lines()

    def _passes(self, entry: Entry) -> bool:
        fields = {
            "status": entry.status,
            "kind": entry.kind,
            "seed": entry.seed,
            "done": entry.done,
            "hash": entry.config_hash,
        }
        return self._filter.fits(entry.name, fields, entry.config)

    def _select(self, index: int) -> None:
        if 0 <= index < len(self.shown):
            self.hud.select(self.shown[index].folder)

    def _line(self, index: int, width: int, chosen: bool) -> Text:
        entry, look = self.shown[index], self.hud.look
        glyph, colour = look.state(entry.status)
        marked = ("+" if look.ascii else "◆") if entry.folder in self.hud.marked else " "
        total = f"{entry.done}/{entry.total}" if entry.total else str(entry.done or "")
        palette = look.palette
        wide = width >= 76
        name = max(10, min(34, width - (66 if wide else 50)))
        parts = [
            (f"{marked}{glyph}", 2, colour),
            (line(entry.name, name), name, palette.text),
            (entry.kind, 10 if wide else 8, palette.dim),
            (bar(entry.share, 6, look.glyphs), 6, colour),
            (total, -9, palette.text),
        ]
        tail = entry.figure
        if entry.status == "running":
            if entry.speed:
                tail += f"  {count(entry.speed)} tok/s"
            if entry.left is not None:
                tail += f"  eta {duration(entry.left)}"
        elif entry.status != "completed":
            tail = f"{entry.status} {tail}"
        if entry.problem:
            tail = line(entry.problem, 60)
        room = max(8, width - sum(abs(size) + 1 for _, size, _ in parts))
        return columns_text([*parts, (tail, room, palette.text if not entry.problem else palette.bad)])

    def _preview(self, width: int, height: int) -> Text:
        look = self.hud.look
        entry = self.hud.entry(self.hud.selected)
        if entry is None:
            return Text("")
        view = self.hud.poller.view(entry.folder)
        canvas = Canvas(width, height, look)
        glyph, colour = look.state(entry.status)
        head = Text(f"{glyph} {entry.status}", style=colour, end="")
        head.append(f"  {entry.kind}  seed {number(entry.seed)}", look.palette.dim)
        lines = [
            head,
            Text(f"started {entry.created[:16].replace('T', ' ')}  {entry.config_hash[:12]}", look.palette.dim),
        ]
        if entry.parent:
            lines.append(Text(f"forked from {entry.parent}", look.palette.dim))
        chart_height = max(0, min(12, height - len(lines) - 4))
        with view.locked():
            feed = view.stage
            text = canvas.lines(lines)
            if chart_height >= 4 and "train_loss" in feed.steps:
                curve = curve_of(feed.steps, "train_loss", "loss", look.curve(0), Options())
                text.append("\n\n").append_text(
                    Chart([curve], marks(feed, look, "step")).text(width, chart_height, look, Options())
                )
            events = [row for row in feed.rows_of("events.jsonl") if row.get("kind") != "checkpoint"]
        if events:
            last = events[-1]
            words = line(f"{last.get('kind')}: {last.get('reason')}", 2 * width)
            text.append("\n\nlast event ", look.palette.dim).append(words, look.palette.text)
        return text

    # --- keys ---

    def on_line_list_moved(self) -> None:
        """The cursor's run is the selected one."""
        self._select(self.query_one("#runs", LineList).cursor)
        self.query_one("#preview", Words).refresh()

    def on_line_list_chosen(self) -> None:
        """A click on the selected run opens it."""
        self.action_open()

    def action_down(self) -> None:
        """The next run."""
        self.query_one("#runs", LineList).move(1)

    def action_up(self) -> None:
        """The run before."""
        self.query_one("#runs", LineList).move(-1)

    def action_first(self) -> None:
        """The first run."""
        self.query_one("#runs", LineList).go(0)

    def action_last(self) -> None:
        """The last run."""
        self.query_one("#runs", LineList).go(len(self.shown))

    def action_page(self, direction: int) -> None:
        """A page down or up."""
        self.query_one("#runs", LineList).page(direction)

    def action_open(self) -> None:
        """Open the selected run; an experiment opens as a study."""
        entry = self.hud.entry(self.hud.selected)
        if entry is not None:
            self.hud.go("study" if entry.kind in ("experiment", "search") else "run")

    def action_filter(self) -> None:
        """Type a filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        self.set_focus(box)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self._filter = Filter(event.value)
        self.records_changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, and go on in the list."""
        self.query_one("#runs").focus()
        event.input.display = bool(event.value)

    def action_leave(self) -> None:
        """Remove the filter."""
        box = self.query_one("#filter", Input)
        box.value = ""
        box.display = False
        self.query_one("#runs").focus()
