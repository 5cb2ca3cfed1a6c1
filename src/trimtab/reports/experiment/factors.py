"""The metric over the values of a factor, by arm; with an exponent, where chaos begins."""

import math
from typing import Any

import numpy as np

from trimtab.evidence import t_interval
from trimtab.records.values import is_number
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, fit, legend, log_axis, looks, plot
from trimtab.reports.experiment.records import Records
from trimtab.reports.style import INK

EXPONENT = "instruments.largest_exponent.value"
"""The figure of a summary that says whether nearby runs part (above 0) or meet."""

LARGEST = "largest exponent"

Curve = dict[int, dict[float, float]]
"""By seed, the figure at each of the factor's values."""


def factors(records: Records) -> Section:
    """For each factor the metric over its values, and the largest exponent where it was measured."""
    key, title = "factors", "Over the factors"
    if not records.design.factors:
        return Section(key, title, (Text("The experiment has no factors.", "missing"),))
    blocks: list[Block] = [
        Text(
            "Thin lines are seeds, bold ones medians, a ring the lowest median. A diverged run's loss is the untrained model's."
        )
    ]
    for factor, values in records.design.factors.items():
        if not all(map(is_number, values)):
            blocks.append(Text(f"{factor} has values that are no numbers, so it is not drawn.", "missing"))
            continue
        metric = "val_loss" if records.source == EXPONENT else records.source
        found = {arm: curves(records, arm, factor, metric) for arm in records.design.order}
        if not any(found.values()):
            blocks.append(Text(f"No run over {factor} has ended with a {metric} yet.", "missing"))
            continue
        exponents = {arm: curves(records, arm, factor, EXPONENT) for arm in records.design.order}
        plots = [_plot(records, factor, metric, found, {})]
        if any(exponents.values()):
            above = records.design.claim.margin if records.source == EXPONENT else 0.0
            onsets = {arm: onset(curve, above) for arm, curve in exponents.items() if curve}
            blocks.append(
                Text(
                    f"Chaos sets in (the upright lines) at the first value from which on the exponent is above {above:g}"
                    f"{', the smallest one that matters by the claim' if above else ''}: the 95% interval of its mean over the "
                    "seeds lies above that there and at all higher values."
                )
            )
            plots.append(_plot(records, factor, LARGEST, exponents, onsets))
        else:
            onsets = {}
        blocks += [Plots(tuple(plots)), _table(factor, metric, found, onsets)]
    return Section(key, title, tuple(blocks))


def curves(records: Records, arm: str, factor: str, metric: str) -> Curve:
    """An arm's figure over a factor, by seed: the mean over the other factors' values of the runs that have ended."""
    place = list(records.design.factors).index(factor)
    gathered: dict[int, dict[float, list[float]]] = {}
    for episode in records.of(arm):
        value = episode.figures.get(metric, math.nan)
        if episode.status == "diverged" and metric in ("val_loss", "best_val_loss", "train_loss"):
            value = episode.figures.get("untrained_loss", value)
        if episode.finished and math.isfinite(value):
            gathered.setdefault(episode.seed, {}).setdefault(float(episode.cell[place]), []).append(value)
    return {
        seed: {at: float(np.mean(values)) for at, values in sorted(points.items())} for seed, points in gathered.items()
    }


def medians(curve: Curve) -> dict[float, float]:
    """The median over the seeds at each value of the factor."""
    values = sorted({at for points in curve.values() for at in points})
    return {at: float(np.median([points[at] for points in curve.values() if at in points])) for at in values}


def onset(curve: Curve, above: float = 0.0) -> float | None:
    """The smallest value of the factor from which on the 95% t interval of the exponent's mean over seeds lies above `above`.

    A mere change of sign would be noise: calm runs have exponents of either sign. None where the highest value's interval does
    not lie above it.
    """
    first = None
    for at in sorted({at for points in curve.values() for at in points}, reverse=True):
        if t_interval([points[at] for points in curve.values() if at in points]).low <= above:
            break
        first = at
    return first


def lowest(middle: dict[float, float]) -> float:
    """The factor's value with the lowest median."""
    return min(middle, key=lambda at: middle[at])


def logarithmic(values: list[float]) -> bool:
    """Whether values span a decade or more, all above 0."""
    return min(values) > 0 and max(values) / min(values) >= 10


def _plot(records: Records, factor: str, metric: str, found: dict[str, Curve], onsets: dict[str, float | None]) -> Plot:
    styles = looks(records.design.order)
    short = factor.rsplit(".", 1)[-1]

    def draw(figure: Any, axes: Any) -> None:
        handles, shown = [], []
        for arm, curve in found.items():
            look = styles[arm]
            for points in curve.values():
                axes.plot(list(points), list(points.values()), color=look.colour, lw=0.6, alpha=0.45)
                shown += list(points.values())
            if curve:
                middle = medians(curve)
                handles += axes.plot(
                    list(middle),
                    list(middle.values()),
                    color=look.colour,
                    lw=2.2,
                    ls=look.dash,
                    marker=look.marker,
                    ms=5.5,
                )
                if metric != LARGEST:
                    at = lowest(middle)
                    axes.plot([at], [middle[at]], "o", mfc="none", mec=look.colour, ms=12, mew=1.4)
            if onsets.get(arm) is not None:
                axes.axvline(onsets[arm], color=look.colour, lw=1.3, ls=look.dash)
        if metric == LARGEST:
            axes.axhline(0.0, color=INK, lw=1.0)
            shown.append(0.0)
        fit(axes, shown)
        if logarithmic([float(value) for value in records.design.factors[factor]]):
            log_axis(axes.xaxis, [float(value) for value in records.design.factors[factor]])
        axes.set_xlabel(drawable(short))
        axes.set_ylabel(drawable(metric))
        legend(figure, handles, [drawable(arm, 18) for arm, curve in found.items() if curve])

    told = []
    for arm, curve in found.items():
        middle = medians(curve)
        if middle and metric != LARGEST:
            at = lowest(middle)
            told.append(f"{arm} lowest median {middle[at]:.4g} at {short} {at:g}")
        elif middle:
            told.append(f"{arm} chaotic from {figure(onsets.get(arm))} on")
    return plot(
        file_name("factor", list(records.design.factors).index(factor) + 1, short, metric),
        f"{metric} over {short}",
        f"{metric} over {factor}: {'; '.join(told)}.",
        draw,
    )


def _table(factor: str, metric: str, found: dict[str, Curve], onsets: dict[str, float | None]) -> Table:
    values = sorted({at for curve in found.values() for at in medians(curve)})
    rows = []
    for arm, curve in found.items():
        middle = medians(curve)
        if not middle:
            continue
        chaos = (figure(onsets.get(arm)),) if onsets else ()
        rows.append((arm, *(figure(middle.get(at), 5) for at in values), f"{lowest(middle):g}", *chaos))
    short = factor.rsplit(".", 1)[-1]
    columns = (
        "arm",
        *(f"{short} {at:g}" for at in values),
        f"{short} of the lowest",
        *(("onset of chaos",) if onsets else ()),
    )
    return Table(f"Median {metric} over {factor}", columns, tuple(rows))
