"""Charts as text: axes, curves, marks for events and a crosshair."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from trimtab.hud.look import Look
from trimtab.hud.raster import Raster, Window
from trimtab.hud.table import Table, nearest
from trimtab.hud.words import count, number

_MARGIN = 8
"""Columns for the labels of the vertical axis."""


@dataclass(frozen=True)
class Curve:
    """A curve: for each place a low and a high (inf and -inf where there is no value)."""

    label: str
    places: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: str
    dashed: bool = False

    def at(self, place: float) -> float | None:
        """The value nearest to a place; None for an empty curve."""
        known = [index for index in range(len(self.places)) if self.low[index] <= self.high[index]]
        if not known:
            return None
        index = known[nearest([self.places[one] for one in known], place)]
        return (self.low[index] + self.high[index]) / 2


@dataclass(frozen=True)
class Mark:
    """An event on the horizontal axis."""

    place: float
    glyph: str
    colour: str


@dataclass(frozen=True)
class Options:
    """How charts are drawn: the same for all charts of a screen, so that their axes agree.

    `left` and `right` are the shown part of the horizontal axis as shares of its whole; `cross` is the place of the crosshair, a
    share of the shown part. `smoothing` is the weight of the past in an exponential mean. `axis` is the column that is the
    horizontal axis.
    """

    log: bool = False
    left: float = 0.0
    right: float = 1.0
    cross: float | None = None
    smoothing: float = 0.0
    axis: str = "step"


@dataclass(frozen=True)
class Chart:
    """A chart of curves over one horizontal axis. `floor` and `ceiling` are included in the vertical axis."""

    curves: Sequence[Curve]
    marks: Sequence[Mark] = field(default_factory=tuple)
    floor: float | None = None
    ceiling: float | None = None

    def extent(self) -> tuple[float, float]:
        """The horizontal extent of all curves."""
        ends = [(min(curve.places), max(curve.places)) for curve in self.curves if curve.places]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 1.0)

    def window(self, options: Options) -> Window | None:
        """The part of the plane to draw; None where there is no value."""
        least, most = self.extent()
        left = least + (most - least) * options.left
        right = least + (most - least) * options.right
        lows, highs = [], []
        for curve in self.curves:
            for place, low, high in zip(curve.places, curve.low, curve.high, strict=True):
                if left <= place <= right and low <= high and (not options.log or low > 0):
                    lows.append(low)
                    highs.append(high)
        if not lows:
            return None
        bottom, top = min(lows), max(highs)
        if not options.log:
            bottom = bottom if self.floor is None else min(bottom, self.floor)
            top = top if self.ceiling is None else max(top, self.ceiling)
        if bottom == top:
            room = abs(top) * 0.05 or 0.5
            bottom, top = (bottom / 1.1, top * 1.1) if options.log else (bottom - room, top + room)
        return Window(left, right, bottom, top, log=options.log)

    def text(self, width: int, height: int, look: Look, options: Options) -> Text:
        """The chart in `height` lines of `width` characters: a legend, the plot, and the axis with its labels."""
        window = self.window(options)
        if window is None or width < _MARGIN + 4 or height < 3:
            return Text("no values yet", style=look.palette.dim)
        plot_width, plot_height = width - _MARGIN, max(1, height - (3 if height >= 5 else 0))
        cells = self._cells(plot_width, plot_height, window, look)
        cross = None if options.cross is None else min(plot_width - 1, int(options.cross * plot_width))
        text = Text(no_wrap=True, end="")
        if height >= 5:
            text.append_text(self._legend(width, look, window, options)).append("\n")
        for row in range(plot_height):
            text.append(_label(row, plot_height, window).rjust(_MARGIN - 1), look.palette.dim)
            text.append("|" if look.ascii else "│", look.palette.border)
            for column, (glyph, colour) in enumerate(cells[row]):
                if column == cross and glyph == " ":
                    text.append("|" if look.ascii else "┊", look.palette.text)
                else:
                    text.append(glyph, colour)
            text.append("\n" if row + 1 < plot_height or height >= 5 else "")
        if height >= 5:
            text.append_text(self._axis(plot_width, window, look)).append("\n")
            text.append_text(_places(plot_width, window, look))
        return text

    def _cells(self, width: int, height: int, window: Window, look: Look) -> list[list[tuple[str, str]]]:
        cells = [[(" ", "")] * width for _ in range(height)]
        for curve in reversed(self.curves):  # the first is on top
            raster = Raster(width, height, look.glyphs)
            for places, low, high in passages(curve):
                raster.curve(places, low, high, window, dashed=curve.dashed)
            for row in range(height):
                for column in range(width):
                    if (glyph := raster.character(row, column)) != " ":
                        cells[row][column] = (glyph, curve.colour)
        return cells

    def _legend(self, width: int, look: Look, window: Window, options: Options) -> Text:
        text = Text(" " * _MARGIN, no_wrap=True, end="")
        place = None if options.cross is None else window.left + (window.right - window.left) * options.cross
        for curve in self.curves:
            at = curve.at(window.right if place is None else place)
            sign = ("- " if look.ascii else "╌ ") if curve.dashed else ("= " if look.ascii else "─ ")
            text.append(f"{sign}{curve.label} ", curve.colour)
            text.append(f"{number(at)}  ", look.palette.text)
        if options.log:
            text.append("log ", look.palette.dim)
        if place is not None:
            text.append(f"at {number(round(place, 3))} ", look.palette.dim)
        text.truncate(width)
        return text

    def _axis(self, width: int, window: Window, look: Look) -> Text:
        text = Text(" " * (_MARGIN - 1), no_wrap=True, end="")
        text.append("+" if look.ascii else "└", look.palette.border)
        line: list[tuple[str, str]] = [("-" if look.ascii else "─", look.palette.border)] * width
        for mark in self.marks:
            if window.left <= mark.place <= window.right and window.right > window.left:
                at = min(width - 1, int((mark.place - window.left) / (window.right - window.left) * width))
                line[at] = (mark.glyph, mark.colour)
        for glyph, colour in line:
            text.append(glyph, colour)
        return text


def _label(row: int, height: int, window: Window) -> str:
    if row not in (0, height // 2, height - 1) or (height < 3 and row):
        return ""
    share = 1 - row / max(1, height - 1)
    if window.log:
        value = math.exp(math.log(window.bottom) + share * (math.log(window.top) - math.log(window.bottom)))
    else:
        value = window.bottom + share * (window.top - window.bottom)
    return number(float(f"{value:.3g}"), 3)[: _MARGIN - 1]


def _places(width: int, window: Window, look: Look) -> Text:
    left, right = count(window.left), count(window.right)
    space = max(1, width - len(left) - len(right))
    middle = count((window.left + window.right) / 2)
    if space > len(middle) + 4:
        half = (space - len(middle)) // 2
        line = f"{left}{' ' * half}{middle}{' ' * (space - half - len(middle))}{right}"
    else:
        line = f"{left}{' ' * space}{right}"
    return Text(" " * _MARGIN + line[:width], style=look.palette.dim, no_wrap=True, end="")


def passages(curve: Curve) -> Iterator[tuple[Sequence[float], Sequence[float], Sequence[float]]]:
    """The parts of a curve over which places do not fall: a rewind of a run begins a new one."""
    places, start = curve.places, 0
    for index in range(1, len(places)):
        if places[index] < places[index - 1]:
            yield places[start:index], curve.low[start:index], curve.high[start:index]
            start = index
    if places:
        yield places[start:], curve.low[start:], curve.high[start:]


def curve_of(
    table: Table, key: str, label: str, colour: str, options: Options, *, dashed: bool = False, axis: str | None = None
) -> Curve:
    """The curve of a table's column, smoothed as the options say."""
    low, high = table.spans(key)
    places = table.places(axis or options.axis)
    if len(places) != len(low):
        places = [float(index) for index in range(len(low))]
    if options.smoothing:
        low = high = smoothed(low, high, options.smoothing)
        high = [value if value < math.inf else -math.inf for value in low]
    return Curve(label, places, low, high, colour, dashed)


def smoothed(low: Sequence[float], high: Sequence[float], weight: float) -> list[float]:
    """The exponential mean of the middles of spans, with a correction for its start; inf where there is no value."""
    mean, total, result = 0.0, 0.0, []
    for one, other in zip(low, high, strict=True):
        if one > other:
            result.append(math.inf)
            continue
        mean = weight * mean + (1 - weight) * (one + other) / 2
        total = weight * total + (1 - weight)
        result.append(mean / total)
    return result
