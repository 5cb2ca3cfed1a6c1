"""How the figures of a report are made: small, without colours of the page, with ids of their own."""

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
"""Inches: two figures stand side by side on a desk, and one still reads on a phone."""

POINTS = 400
"""Points drawn of a line at most."""

_LONGEST_WORD = 60  # characters of a part of a file's name

_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))
_MARKERS = ("s", "^", "D", "v", "P", "X")
_COLOURS = (BLUE, ORANGE, TEAL, MAGENTA)


@dataclass(frozen=True)
class Look:
    """How an arm is drawn: never by its colour alone."""

    colour: str
    marker: str
    dash: Any


def looks(order: Sequence[str]) -> dict[str, Look]:
    """The arms' looks, the baseline's (the first) in the ink of the text."""
    found = {order[0]: Look(INK, "o", "-")}
    for index, arm in enumerate(order[1:]):
        dash = _DASHES[(index + index // len(_COLOURS)) % len(_DASHES)]
        found[arm] = Look(_COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)], dash)
    return found


def plot(
    name: str, caption: str, description: str, draw: Callable[..., None], *, height: float = 3.1, **subplots: Any
) -> Plot:
    """A figure of one column; `draw` is called with it and its axes (as `Figure.subplots` gives them)."""
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
    """The same drawing with ids that no other figure of the page has."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)


def file_name(*parts: str | int) -> str:
    """A name for a file and for ids, from any text; a long part is cut, so a number before it has to tell it from others."""
    words = (re.sub(r"[^a-z0-9]+", "-", str(part).lower()).strip("-") for part in parts)
    return "-".join(word[:_LONGEST_WORD] for word in words if word)


def drawable(text: str, longest: int = 26) -> str:
    """A text from the records as a figure can hold it: short, in the font's own characters, no formula, no hidden label."""
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
    """A legend above the axes, where it covers nothing."""
    figure.legend(
        handles, labels, loc="outside upper left", ncols=columns, fontsize=9.5, handlelength=1.8, columnspacing=1.2
    )


def thinned(series: Series) -> Series:
    """At most `POINTS` finite rows of a series: the lowest and the highest of every stretch, so that no spike is lost."""
    series = series.finite()
    if len(series) <= POINTS:
        return series
    kept = []
    for stretch in np.array_split(np.arange(len(series)), POINTS // 2):
        values = series.values[stretch]
        kept += sorted({int(stretch[values.argmin()]), int(stretch[values.argmax()])})
    return Series(series.steps[kept], series.values[kept])


def steps_axis(axes: "Axes") -> None:
    """Label the steps."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def log_axis(axis: Any, values: Sequence[float]) -> None:
    """Make an axis that shows `values` logarithmic, its ticks plain numbers; those that are not above 0 are left out."""
    from matplotlib.ticker import LogLocator, NullFormatter

    above = [value for value in values if value > 0]
    narrow = max(above) < 30 * min(above)
    axis._set_axes_scale("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=7))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def fit(axes: "Axes", values: Sequence[float]) -> None:
    """Set the height to what the finite ones of these values need, with a margin."""
    finite = [value for value in values if np.isfinite(value)]
    if finite:
        low, high = min(finite), max(finite)
        margin = 0.07 * (high - low) or 0.05 * abs(high) or 0.1
        axes.set_ylim(low - margin, high + margin)
