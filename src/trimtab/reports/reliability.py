"""Drawing reliability diagrams (accuracy over confidence, with a histogram of answers) and risk-coverage curves."""

from typing import Any

import numpy as np
from jaxtyping import Float

from trimtab.reports.style import INK, VIOLET

HEIGHTS = (3.2, 1.0)
"""The relative heights of the diagram and of the histogram below it."""


def draw_reliability(axes: Any, diagram: Any, colour: str, marker: str) -> tuple[list[Any], list[str]]:
    """Draw a `Reliability`: the diagram on the upper axes, the counts on the lower. Returns legend handles and labels.

    Below the dashed diagonal the predictor is overconfident. A mark inside the band of its bin is within the 95% range of a
    perfectly calibrated predictor.
    """
    upper, lower = axes
    left, right = diagram.edges[:-1], diagram.edges[1:]
    full = diagram.count > 0
    handles: list[Any] = []
    (line,) = upper.plot([0, 1], [0, 1], color=INK, lw=1.0, ls=(0, (4, 2)))
    known = full & ~np.isnan(diagram.null_low)
    band = upper.bar(
        left[known],
        (diagram.null_high - diagram.null_low)[known],
        (right - left)[known],
        bottom=diagram.null_low[known],
        align="edge",
        color=VIOLET,
        alpha=0.22,
        lw=0,
    )
    if full.any():
        centre, low, high = (part[full] for part in (diagram.accuracy, diagram.low, diagram.high))
        bars = upper.errorbar(
            diagram.confidence[full],
            centre,
            yerr=np.maximum([centre - low, high - centre], 0.0),
            fmt=marker,
            color=colour,
            ms=5,
            lw=1.3,
            capsize=2.5,
        )
        handles.append(bars)
        lower.bar(left, diagram.count, right - left, align="edge", color=colour, alpha=0.55, lw=0)
    handles += [band, line]
    labels = [f"accuracy, {100 * diagram.level:.3g}% interval"] if full.any() else []
    labels += [f"perfect predictor, {100 * diagram.level:.3g}%", "confidence = accuracy"]
    _axes(upper, lower, diagram.count)
    return handles, labels


def draw_risk(axes: Any, curve: Any, colour: str, marker: str, dash: Any) -> Any:
    """Draw a `RiskCoverage` with its band and return its legend handle."""
    if not np.isnan(curve.low).any():
        axes.fill_between(curve.coverage, curve.low, curve.high, color=colour, alpha=0.13, lw=0)
    (line,) = axes.plot(
        curve.coverage, curve.risk, color=colour, ls=dash, lw=1.8, marker=marker, ms=3.5, markevery=(3, 4)
    )
    return line


def largest_gap(diagram: Any) -> tuple[float, Float[np.ndarray, "2"]]:
    """Accuracy − confidence in the bin with the largest gap times count, and the ends of that bin."""
    gap = np.where(diagram.count > 0, diagram.accuracy - diagram.confidence, 0.0)
    place = int(np.argmax(np.abs(gap) * diagram.count))
    return float(gap[place]), diagram.edges[place : place + 2]


def _axes(upper: Any, lower: Any, count: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    upper.set_xlim(-0.02, 1.02)
    upper.set_ylim(-0.02, 1.04)
    upper.set_ylabel("accuracy")
    upper.tick_params(labelbottom=False)
    upper.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    lower.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    lower.set_xlabel("confidence")
    lower.set_ylabel("answers")
    lower.set_ylim(0, 1.12 * max(1, int(count.max())))
    lower.yaxis.set_major_locator(MaxNLocator(nbins=2, integer=True))
