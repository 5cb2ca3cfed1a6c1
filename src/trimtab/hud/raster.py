"""Curves as characters: braille dots, quadrant blocks or plain ASCII."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Glyphs = Literal["braille", "block", "ascii"]

_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LEVELS = " .:-=+*#@"

DOTS: dict[str, tuple[int, int]] = {"braille": (2, 4), "block": (2, 2), "ascii": (1, 1)}
"""Dots of a character cell, across and down."""


@dataclass(frozen=True)
class Window:
    """The part of the plane that is drawn. `log` says whether the vertical axis is logarithmic."""

    left: float
    right: float
    bottom: float
    top: float
    log: bool = False

    def height(self, value: float) -> float:
        """Where a value is between bottom (0) and top (1)."""
        if self.log:
            if value <= 0:
                return -1.0
            span = math.log(self.top) - math.log(self.bottom)
            return (math.log(value) - math.log(self.bottom)) / span if span else 0.5
        span = self.top - self.bottom
        return (value - self.bottom) / span if span else 0.5


class Raster:
    """A field of dots, `width` by `height` cells."""

    def __init__(self, width: int, height: int, glyphs: Glyphs = "braille") -> None:
        self.width, self.height, self.glyphs = width, height, glyphs
        self.across, self.down = DOTS[glyphs]
        self.dots_wide, self.dots_high = width * self.across, height * self.down
        self.cells = [[0] * width for _ in range(height)]

    def vertical(self, x: int, first: int, last: int) -> None:
        """Set the dots of column `x` from row `first` to row `last`, both included; rows count from the top."""
        if not 0 <= x < self.dots_wide:
            return
        column, inside = divmod(x, self.across)
        for y in range(max(0, first), min(self.dots_high - 1, last) + 1):
            row, below = divmod(y, self.down)
            self.cells[row][column] |= self._bit(inside, below)

    def _bit(self, across: int, down: int) -> int:
        if self.glyphs == "braille":
            return _BRAILLE[down][across]
        return 1 << (down * 2 + across)

    def character(self, row: int, column: int) -> str:
        """The character of a cell; a space where no dot is set."""
        bits = self.cells[row][column]
        if not bits:
            return " "
        if self.glyphs == "braille":
            return chr(0x2800 + bits)
        return _QUADRANTS[bits] if self.glyphs == "block" else "*"

    def curve(
        self,
        places: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        window: Window,
        *,
        dashed: bool = False,
    ) -> None:
        """Draw a curve. `places` never fall; a low above its high is a gap, over which neighbours are joined."""
        before: tuple[int, int, int] | None = None
        for x, least, most in _columns(places, low, high, window, self.dots_wide):
            first, last = self._row(window.height(most)), self._row(window.height(least))
            if before is not None:
                self._join(before, x, first, last, dashed)
            if not (dashed and (x // 3) % 2):
                self.vertical(x, first, last)
            before = (x, first, last)

    def _row(self, share: float) -> int:
        share = min(1.5, max(-0.5, share))
        return round((1.0 - share) * (self.dots_high - 1))

    def _join(self, before: tuple[int, int, int], x: int, first: int, last: int, dashed: bool) -> None:
        """A line from the nearest end of one column of dots to the nearest end of the next."""
        x0, first0, last0 = before
        start, end = (last0, first) if first > last0 else (first0, last) if last < first0 else (None, None)
        if start is None or end is None:
            start = end = max(first0, first)
        for at in range(x0 + 1, x + 1):
            if dashed and (at // 3) % 2:
                continue
            one = round(start + (end - start) * (at - 1 - x0) / (x - x0))
            other = round(start + (end - start) * (at - x0) / (x - x0))
            self.vertical(at, min(one, other), max(one, other))


def _columns(
    places: Sequence[float], low: Sequence[float], high: Sequence[float], window: Window, width: int
) -> list[tuple[int, float, float]]:
    """For each column of dots with values: its number, the least and the most of them."""
    span = window.right - window.left
    if not places or width < 1:
        return []
    if span <= 0:
        least, most = min(low, default=math.inf), max(high, default=-math.inf)
        return [(0, least, most)] if least <= most else []
    begin, end = bisect_left(places, window.left), bisect_right(places, window.right)
    columns: list[tuple[int, float, float]] = []
    if end - begin <= 2 * width:
        for index in range(begin, end):
            if low[index] <= high[index]:
                x = min(width - 1, int((places[index] - window.left) / span * width))
                if columns and columns[-1][0] == x:
                    columns[-1] = (x, min(columns[-1][1], low[index]), max(columns[-1][2], high[index]))
                else:
                    columns.append((x, low[index], high[index]))
        return columns
    for x in range(width):
        after = bisect_left(places, window.left + span * (x + 1) / width, begin, end) if x + 1 < width else end
        if after > begin:
            least, most = min(low[begin:after]), max(high[begin:after])
            if least <= most:
                columns.append((x, least, most))
            begin = after
    return columns


def bar(share: float, width: int, glyphs: Glyphs = "braille") -> str:
    """A horizontal bar: the filled part of `width` cells."""
    filled = round(min(1.0, max(0.0, share)) * width)
    full, empty = ("#", "-") if glyphs == "ascii" else ("▇", "▁")
    return full * filled + empty * (width - filled)


def level(share: float, glyphs: Glyphs = "braille") -> str:
    """One character for a share between 0 and 1, darker for more."""
    steps = _LEVELS if glyphs == "ascii" else _EIGHTHS
    return steps[min(len(steps) - 1, max(0, math.ceil(share * (len(steps) - 1))))]


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs = "braille") -> str:
    """The course of values in one line, in `width` cells or fewer; nan is a space."""
    known = [value for value in values if math.isfinite(value)]
    if not known or width < 1:
        return ""
    least, most = min(known), max(known)
    count = min(width, len(values))
    cells = []
    for cell in range(count):
        part = [v for v in values[cell * len(values) // count : (cell + 1) * len(values) // count] if math.isfinite(v)]
        if not part:
            cells.append(" ")
            continue
        share = (max(part) - least) / (most - least) if most > least else 0.5
        cells.append(level(0.125 + share * 0.875, glyphs))
    return "".join(cells)
