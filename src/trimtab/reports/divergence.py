"""How the twins of a run part, as SVG and PNG."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.records.atomic import write_bytes
from trimtab.reports.drawing import drawable
from trimtab.reports.series import Series
from trimtab.reports.style import BLUE, INK, ORANGE, load_matplotlib, rendered, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def divergence(chaos: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw `divergence.svg` and `divergence.png` into `folder` from what `chaos.json` holds, and return their paths.

    The relative distance of each twin over steps, on a log scale: left alone, and with renormalisation (the growth measured
    between two times that it was pulled back, multiplied up); the line of the exponent over the steps that it counts.
    """
    figure = _draw(chaos)
    paths = []
    for suffix in ("svg", "png"):
        path = folder / f"divergence.{suffix}"
        write_bytes(path, rendered(figure, suffix))
        paths.append(path)
    return paths


def alone(chaos: Mapping[str, Any], twin: int) -> Series:
    """A twin's distance over steps, never pulled back; steps at which it is 0 or not finite are left out."""
    values = np.array(chaos["twins"][twin]["distances"], dtype=np.float64)
    return _positive(Series(chaos["at"] + np.arange(len(values)), values))


def multiplied_up(chaos: Mapping[str, Any], twin: int) -> Series:
    """What a twin's distance would be after each renormalisation if it had grown from `epsilon` at the measured rates."""
    every = chaos["renormalise_every"]
    growth = np.concatenate([[0.0], np.cumsum(chaos["twins"][twin]["rates"]) * every])
    with np.errstate(over="ignore"):
        values = chaos["epsilon"] * np.exp(growth)
    return _positive(Series(chaos["at"] + every * np.arange(len(values)), values))


def _positive(series: Series) -> Series:
    keep = np.isfinite(series.values) & (series.values > 0)
    return Series(series.steps[keep], series.values[keep])


def _draw(chaos: Mapping[str, Any]) -> "Figure":
    load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with style():
        figure = Figure(figsize=(8.0, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for twin in range(len(chaos["twins"])):
            labels = ("left alone", "renormalised, growth multiplied up") if twin == 0 else (None, None)
            free, grown = alone(chaos, twin), multiplied_up(chaos, twin)
            axes.plot(free.steps, free.values, color=BLUE, lw=1.2, alpha=0.8, label=labels[0])
            axes.plot(grown.steps, grown.values, color=ORANGE, lw=1.2, alpha=0.8, label=labels[1])
        _line(axes, chaos)
        axes.set_yscale("log")
        axes.set_ylabel("relative distance of the twins")
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(drawable(_title(chaos), 120), loc="left", fontsize=10)
        axes.legend(loc="best")
    return figure


def _line(axes: Any, chaos: Mapping[str, Any]) -> None:
    """The exponent as a slope, from where the first twin's counted steps begin."""
    grown = multiplied_up(chaos, 0)
    begin = chaos["at"] + chaos["discard"]
    here = np.flatnonzero(grown.steps == begin)
    if not len(here) or not math.isfinite(chaos["exponent"]):
        return
    steps = np.array([begin, begin + chaos["steps"]])
    with np.errstate(over="ignore"):
        values = grown.values[here[0]] * np.exp(chaos["exponent"] * (steps - begin))
    if np.isfinite(values).all() and values.min() > 0:
        axes.plot(steps, values, color=INK, lw=1.4, ls="--", label=f"{chaos['exponent']:+.4f} nats a step")


def _title(chaos: Mapping[str, Any]) -> str:
    interval = chaos["interval"]
    known = "" if interval is None else f" ({interval[0]:+.4f} to {interval[1]:+.4f})"
    return f"{Path(chaos['run']).name}, twins from step {chaos['at']} · exponent {chaos['exponent']:+.4f}{known} nats a step"
