"""The metric over the values of a factor, by arm, and the onset of chaos where an exponent was measured."""

import math
from typing import Any

import numpy as np

from trimtab.evidence import t_interval
from trimtab.records.metrics import Metric
from trimtab.records.values import is_number
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, fit, legend, log_axis, looks, plot
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.style import INK

EXPONENT = "instruments.largest_exponent.value"
"""The metric that says whether nearby runs diverge from each other (above 0) or converge."""

LARGEST = "largest exponent"

Curve = dict[int, dict[float, float]]
"""By seed: the metric at each value of the factor."""


def factors(records: ExperimentRecords) -> Section:
    """For each factor the metric over its values, and the largest Lyapunov exponent where it was measured."""
    key, title = "factors", "Factors"
    if not records.spec.factors:
        return Section(key, title, (Text("The experiment has no factors.", "missing"),))
    blocks: list[Block] = [
        Text(
            "Thin lines are seeds, bold lines medians, and a ring marks the best median. A diverged run counts as the untrained "
            "model where its own value is not better."
        )
    ]
    for factor, values in records.spec.factors.items():
        if not all(map(is_number, values)):
            blocks.append(Text(f"{factor} is not numeric, so it is not drawn.", "missing"))
            continue
        metric = "val_loss" if records.source == EXPONENT else records.source
        by_arm = {arm: curves(records, arm, factor, metric) for arm in records.arms}
        if not any(by_arm.values()):
            blocks.append(Text(f"No run over {factor} has ended with a {metric} yet.", "missing"))
            continue
        exponents = {arm: curves(records, arm, factor, EXPONENT) for arm in records.arms}
        plots = [_plot(records, factor, metric, by_arm, {})]
        if any(exponents.values()):
            above = records.spec.claim.margin if records.source == EXPONENT else 0.0
            onsets = {arm: onset(curve, above) for arm, curve in exponents.items() if curve}
            blocks.append(
                Text(
                    "Vertical lines mark the onset of chaos: the smallest value from which on the 95% interval of the exponent's "
                    f"mean over seeds lies above {above:g}{', the margin of the claim' if above else ''}."
                )
            )
            plots.append(_plot(records, factor, LARGEST, exponents, onsets))
        else:
            onsets = {}
        blocks += [Plots(tuple(plots)), _table(factor, records.metric(metric), by_arm, onsets)]
    return Section(key, title, tuple(blocks))


def curves(records: ExperimentRecords, arm: str, factor: str, metric: str) -> Curve:
    """An arm's metric over a factor, by seed: the mean over the other factors' values, of runs that have ended."""
    place = list(records.spec.factors).index(factor)
    gathered: dict[int, dict[float, list[float]]] = {}
    for episode in records.of(arm):
        value = episode.value(records.metric(metric))
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

    None where the interval at the highest value does not. A change of sign alone would be noise: stable runs have exponents
    of either sign.
    """
    first = None
    for at in sorted({at for points in curve.values() for at in points}, reverse=True):
        if t_interval([points[at] for points in curve.values() if at in points]).low <= above:
            break
        first = at
    return first


def best(middle: dict[float, float], *, higher_is_better: bool) -> float:
    """The factor's value with the best median."""
    return (max if higher_is_better else min)(middle, key=lambda at: middle[at])


def logarithmic(values: list[float]) -> bool:
    """Whether the values are all above 0 and span a decade or more."""
    return min(values) > 0 and max(values) / min(values) >= 10


def _plot(
    records: ExperimentRecords, factor: str, metric: str, by_arm: dict[str, Curve], onsets: dict[str, float | None]
) -> Plot:
    styles = looks(records.arms)
    short = factor.rsplit(".", 1)[-1]
    higher = records.metric(metric).higher_is_better

    def draw(figure: Any, axes: Any) -> None:
        handles, shown = [], []
        for arm, curve in by_arm.items():
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
                    at = best(middle, higher_is_better=higher)
                    axes.plot([at], [middle[at]], "o", mfc="none", mec=look.colour, ms=12, mew=1.4)
            if onsets.get(arm) is not None:
                axes.axvline(onsets[arm], color=look.colour, lw=1.3, ls=look.dash)
        if metric == LARGEST:
            axes.axhline(0.0, color=INK, lw=1.0)
            shown.append(0.0)
        fit(axes, shown)
        if logarithmic([float(value) for value in records.spec.factors[factor]]):
            log_axis(axes.xaxis, [float(value) for value in records.spec.factors[factor]])
        axes.set_xlabel(drawable(short))
        axes.set_ylabel(drawable(metric))
        legend(figure, handles, [drawable(arm, 18) for arm, curve in by_arm.items() if curve])

    summary = []
    for arm, curve in by_arm.items():
        middle = medians(curve)
        if middle and metric != LARGEST:
            at = best(middle, higher_is_better=higher)
            summary.append(f"{arm} best median {middle[at]:.4g} at {short} {at:g}")
        elif middle:
            summary.append(f"{arm} chaotic from {figure(onsets.get(arm))} on")
    return plot(
        file_name("factor", list(records.spec.factors).index(factor) + 1, short, metric),
        f"{metric} over {short}",
        f"{metric} over {factor}: {'; '.join(summary)}.",
        draw,
    )


def _table(factor: str, metric: Metric, by_arm: dict[str, Curve], onsets: dict[str, float | None]) -> Table:
    values = sorted({at for curve in by_arm.values() for at in medians(curve)})
    rows = []
    for arm, curve in by_arm.items():
        middle = medians(curve)
        if not middle:
            continue
        chaos = (figure(onsets.get(arm)),) if onsets else ()
        rows.append(
            (
                arm,
                *(figure(middle.get(at), 5) for at in values),
                f"{best(middle, higher_is_better=metric.higher_is_better):g}",
                *chaos,
            )
        )
    short = factor.rsplit(".", 1)[-1]
    columns = (
        "arm",
        *(f"{short} {at:g}" for at in values),
        f"best {short}",
        *(("onset of chaos",) if onsets else ()),
    )
    return Table(f"Median {metric.name} over {factor}", columns, tuple(rows))
