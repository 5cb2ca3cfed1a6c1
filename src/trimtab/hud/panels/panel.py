"""What a panel is, and what it draws with."""

import functools
import importlib
import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from types import ModuleType
from typing import Literal

from rich.text import Text

from trimtab.hud.chart import Chart, Curve, Mark, Options
from trimtab.hud.feed import View
from trimtab.hud.look import Look
from trimtab.hud.raster import Raster, bar, level
from trimtab.hud.table import Table
from trimtab.hud.words import fitted, line


@dataclass(frozen=True)
class Canvas:
    """The room of a panel, in characters, and how charts are drawn in it."""

    width: int
    height: int
    look: Look
    options: Options = field(default_factory=Options)

    def chart(
        self,
        curves: Sequence[Curve],
        marks: Sequence[Mark] = (),
        *,
        height: int | None = None,
        floor: float | None = None,
    ) -> Text:
        """Curves over one axis, in all of the room or its first `height` lines."""
        chart = Chart(curves, marks, floor=floor)
        return chart.text(self.width, self.height if height is None else height, self.look, self.options)

    def missing(self, what: str) -> Text:
        """The text of a panel whose records are not there."""
        return Text(f"{what}: not recorded by this run", style=self.look.palette.dim)

    def lines(self, rows: Sequence[Text | str]) -> Text:
        """As many lines as there is room for, each cut to the width."""
        text = Text(no_wrap=True, end="")
        for index, row in enumerate(rows[: self.height]):
            one = row.copy() if isinstance(row, Text) else Text(row, style=self.look.palette.text)
            one.truncate(self.width, overflow="ellipsis")
            text.append("\n" if index else "").append_text(one)
        return text

    def pair(self, label: str, value: str, colour: str | None = None) -> Text:
        """A label and a value on one line."""
        text = Text(f"{label} ", style=self.look.palette.dim, end="")
        return text.append(value, colour or self.look.palette.text)

    def bars(self, rows: Sequence[tuple[str, float, str]], *, colour: str | None = None) -> Text:
        """A horizontal bar for each (label, share, words)."""
        if not rows:
            return Text("no values yet", style=self.look.palette.dim)
        label = min(max(len(one) for one, _, _ in rows), self.width // 3)
        words = max(len(one) for _, _, one in rows)
        room = max(3, self.width - label - words - 2)
        lines = []
        for name, share, said in rows:
            text = Text(fitted(line(name, label), label) + " ", style=self.look.palette.text, end="")
            text.append(bar(share, room, self.look.glyphs), colour or self.look.palette.accent)
            lines.append(text.append(f" {said}", self.look.palette.dim))
        return self.lines(lines)

    def heat(self, rows: Sequence[tuple[str, Sequence[float]]], *, colour: str | None = None) -> Text:
        """A map of shares in [0, 1]: a line for each row, columns from left to right; nan is a space."""
        label = max((len(name) for name, _ in rows), default=0)
        room = max(1, self.width - label - 1)
        lines = []
        for name, values in rows:
            text = Text(name.rjust(label) + " ", style=self.look.palette.dim, end="")
            count = min(room, len(values))
            cells = [values[cell * len(values) // count] for cell in range(count)] if count else []
            text.append(
                "".join(" " if math.isnan(value) else level(value, self.look.glyphs) for value in cells),
                colour or self.look.palette.accent,
            )
            lines.append(text)
        return self.lines(lines)

    def scatter(
        self, points: Sequence[tuple[float, float]], height: int, *, diagonal: bool = False, colour: str | None = None
    ) -> Text:
        """Points in a square from 0 to the largest coordinate, with an optional diagonal."""
        width = max(4, self.width - 1)
        most = max((max(x, y) for x, y in points), default=1.0) or 1.0
        raster, guide = (Raster(width, max(1, height), self.look.glyphs) for _ in range(2))
        for x, y in points:
            at = round(x / most * (raster.dots_wide - 1))
            row = round((1 - y / most) * (raster.dots_high - 1))
            raster.vertical(at, row, row)
        if diagonal:
            for at in range(0, guide.dots_wide, 3):
                row = round((1 - at / max(1, guide.dots_wide - 1)) * (guide.dots_high - 1))
                guide.vertical(at, row, row)
        text = Text(no_wrap=True, end="")
        for row in range(raster.height):
            text.append("\n" if row else "").append("|" if self.look.ascii else "│", self.look.palette.border)
            for column in range(width):
                glyph = raster.character(row, column)
                if glyph != " ":
                    text.append(glyph, colour or self.look.palette.accent)
                else:
                    text.append(guide.character(row, column), self.look.palette.dim)
        return text


Draw = Callable[[View, Canvas], Text]


@dataclass(frozen=True)
class Panel:
    """A panel of the run screen.

    It is shown for runs of the given `kinds` (none: of every kind) for which `applies` is true. `needs` are patterns of columns
    of `steps.jsonl`: where the run has none of them, the panel says so and does not draw. `rows` and `documents` are the files
    that it reads besides. A `main` panel is large, `side` panels are beside it, `tile` panels below.
    """

    name: str
    title: str
    draw: Draw
    place: Literal["main", "side", "tile"] = "tile"
    kinds: frozenset[str] = frozenset()
    applies: Callable[[View], bool] = lambda view: True
    needs: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    def text(self, view: View, canvas: Canvas) -> Text:
        """The panel's content for a run."""
        if self.needs and not any(columns(view.stage.steps, pattern) for pattern in self.needs):
            return canvas.missing(self.title.lower())
        return self.draw(view, canvas)

    def follow(self, view: View) -> None:
        """Follow the files that the panel reads."""
        for feed in (view.main, view.stage):
            for name in self.rows:
                feed.rows_of(name)
            for name in self.documents:
                feed.document(name)


def columns(table: Table, pattern: str) -> list[str]:
    """The columns of a table that fit a pattern such as `aux.model.layer.*.budget`, in natural order."""
    if "*" not in pattern:
        return [pattern] if pattern in table else []
    return sorted((name for name in list(table.columns) if fnmatch(name, pattern)), key=_natural)


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split(".")]


@functools.cache
def panel_modules() -> tuple[ModuleType, ...]:
    """Every file of this package, in the order of their names."""
    package = __name__.rpartition(".")[0]
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    return tuple(importlib.import_module(f"{package}.{name}") for name in names)


def all_panels() -> tuple[Panel, ...]:
    """Every panel of every file."""
    return tuple(panel for module in panel_modules() for panel in getattr(module, "PANELS", ()))


def panels_for(view: View) -> list[Panel]:
    """The panels of a run."""
    kind = view.kind
    return [panel for panel in all_panels() if (not panel.kinds or kind in panel.kinds) and panel.applies(view)]
