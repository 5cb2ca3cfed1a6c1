"""The plot of how perturbed copies of a run diverge from it, as SVG and PNG."""

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
    """Draw `divergence.svg` and `divergence.png` into `folder` from the content of `chaos.json`, and return their paths.

    The plot shows the relative distance of each copy over steps on a log scale, once without renormalisation and once as the
    product of the growth measured between renormalisations, and the slope of the exponent over the steps that it covers.
    """
    figure = _draw(chaos)
    paths = []
    for suffix in ("svg", "png"):
        path = folder / f"divergence.{suffix}"
        write_bytes(path, rendered(figure, suffix))
        paths.append(path)
    return paths


def alone(chaos: Mapping[str, Any], copy: int) -> Series:
    """The distance of a copy without renormalisation, over steps; steps at which it is 0 or not finite are left out."""
    values = np.array(chaos["copies"][copy]["distances"], dtype=np.float64)
    return _positive(Series(chaos["at"] + np.arange(len(values)), values))


def multiplied_up(chaos: Mapping[str, Any], copy: int) -> Series:
    """The distance that a copy would reach from `epsilon` at the growth rates measured between renormalisations."""
    every = chaos["renormalise_every"]
    growth = np.concatenate([[0.0], np.cumsum(chaos["copies"][copy]["rates"]) * every])
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
        for copy in range(len(chaos["copies"])):
            labels = (
                ("without renormalisation", "product of the growth between renormalisations")
                if copy == 0
                else (None, None)
            )
            free, grown = alone(chaos, copy), multiplied_up(chaos, copy)
            axes.plot(free.steps, free.values, color=BLUE, lw=1.2, alpha=0.8, label=labels[0])
            axes.plot(grown.steps, grown.values, color=ORANGE, lw=1.2, alpha=0.8, label=labels[1])
        _line(axes, chaos)
        axes.set_yscale("log")
        axes.set_ylabel("relative distance of the copies")
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(drawable(_title(chaos), 120), loc="left", fontsize=10)
        axes.legend(loc="best")
    return figure


def _line(axes: Any, chaos: Mapping[str, Any]) -> None:
    """The exponent as a slope, from the first step that it covers."""
    grown = multiplied_up(chaos, 0)
    begin = chaos["at"] + chaos["discard"]
    here = np.flatnonzero(grown.steps == begin)
    if not len(here) or not math.isfinite(chaos["exponent"]):
        return
    steps = np.array([begin, begin + chaos["steps"]])
    with np.errstate(over="ignore"):
        values = grown.values[here[0]] * np.exp(chaos["exponent"] * (steps - begin))
    if np.isfinite(values).all() and values.min() > 0:
        axes.plot(steps, values, color=INK, lw=1.4, ls="--", label=f"{chaos['exponent']:+.4f} nats per step")


def _title(chaos: Mapping[str, Any]) -> str:
    interval = chaos["interval"]
    known = "" if interval is None else f" ({interval[0]:+.4f} to {interval[1]:+.4f})"
    exponent = f"exponent {chaos['exponent']:+.4f}{known} nats per step"
    return f"{Path(chaos['run']).name}, perturbed copies from step {chaos['at']} · {exponent}"
