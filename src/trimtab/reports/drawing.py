"""Drawing the plots of a report: one column wide, transparent, with ids that are unique on the page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.reports.blocks import Plot
from trimtab.reports.series import Series
from trimtab.reports.style import BLUE, INK, MAGENTA, ORANGE, TEAL, load_matplotlib, rendered, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.8
"""Inches: two plots fit side by side on a desktop screen, and one can be read on a phone."""

POINTS = 400
"""The most points drawn of a line."""

_LONGEST_WORD = 60  # characters of a part of a file's name

_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))
_MARKERS = ("s", "^", "D", "v", "P", "X")
_COLOURS = (BLUE, ORANGE, TEAL, MAGENTA)


@dataclass(frozen=True)
class Look:
    """The colour, marker and line style of an arm, so that arms differ in more than colour."""

    colour: str
    marker: str
    dash: Any


def looks(order: Sequence[str]) -> dict[str, Look]:
    """The look of every arm; the baseline (the first) has the colour of the text."""
    by_arm = {order[0]: Look(INK, "o", "-")}
    for index, arm in enumerate(order[1:]):
        dash = _DASHES[(index + index // len(_COLOURS)) % len(_DASHES)]
        by_arm[arm] = Look(_COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)], dash)
    return by_arm


def plot(
    name: str, caption: str, description: str, draw: Callable[..., None], *, height: float = 3.1, **subplots: Any
) -> Plot:
    """A plot one column wide; `draw` receives the figure and its axes (as `Figure.subplots` returns them)."""
    load_matplotlib()
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style(), rc_context({"font.size": 10.0}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, figure.subplots(**subplots))
        svg = rendered(figure, "svg").decode()
    return Plot(name, caption, description, _own_ids(svg, name))


def _own_ids(svg: str, name: str) -> str:
    """The same drawing, with ids that no other plot of the page has."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)


def file_name(*parts: str | int) -> str:
    """A name for files and ids, from any texts. Long texts are cut, so put a number before texts that may begin alike."""
    words = (re.sub(r"[^a-z0-9]+", "-", str(part).lower()).strip("-") for part in parts)
    return "-".join(word[:_LONGEST_WORD] for word in words if word)


def drawable(text: str, longest: int = 26) -> str:
    """A text from the records, safe for a plot: shortened, without characters that the font lacks, never read as a formula."""
    clean = "".join(c if c.isprintable() and ord(c) in _characters() else "?" for c in text)
    if len(clean) > longest:
        clean = clean[: longest - 1] + "…"
    return (f" {clean}" if clean.startswith("_") else clean).replace("$", r"\$")


@cache
def _characters() -> frozenset[int]:
    load_matplotlib()
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def legend(figure: "Figure", handles: Sequence[Any], labels: Sequence[str], columns: int = 2) -> None:
    """A legend above the axes, where it hides nothing."""
    figure.legend(
        handles, labels, loc="outside upper left", ncols=columns, fontsize=9.5, handlelength=1.8, columnspacing=1.2
    )


def thinned(series: Series) -> Series:
    """At most `POINTS` finite rows of a series: the lowest and highest of every stretch, so that spikes stay visible."""
    series = series.finite()
    if len(series) <= POINTS:
        return series
    kept = []
    for stretch in np.array_split(np.arange(len(series)), POINTS // 2):
        values = series.values[stretch]
        kept += sorted({int(stretch[values.argmin()]), int(stretch[values.argmax()])})
    return Series(series.steps[kept], series.values[kept])


def steps_axis(axes: "Axes") -> None:
    """Label the horizontal axis as steps, with whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def log_axis(axis: Any, values: Sequence[float]) -> None:
    """Make an axis logarithmic with plain numbers at its ticks, for the `values` above 0."""
    from matplotlib.ticker import LogLocator, NullFormatter

    above = [value for value in values if value > 0]
    narrow = max(above) < 30 * min(above)
    axis._set_axes_scale("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=7))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def fit(axes: "Axes", values: Sequence[float]) -> None:
    """Set the vertical limits to the finite values, with a margin."""
    finite = [value for value in values if np.isfinite(value)]
    if finite:
        low, high = min(finite), max(finite)
        margin = 0.07 * (high - low) or 0.05 * abs(high) or 0.1
        axes.set_ylim(low - margin, high + margin)
