"""What single interventions changed, and how decisions met the injected faults."""

import math
from typing import Any

import numpy as np

from trimtab.boundary import counted
from trimtab.reports.blocks import (
    Block,
    Plot,
    Plots,
    Section,
    Table,
    Text,
    figure,
    interval,
    signed,
)
from trimtab.reports.drawing import Look, drawable, file_name, fit, legend, looks, plot
from trimtab.reports.experiment.optional import DetectionScore, Effect, Interventions
from trimtab.reports.experiment.records import Records
from trimtab.reports.style import INK


def interventions(records: Records) -> Section:
    """Every intervention against a twin that did nothing, and the mean by arm."""
    key, title = "interventions", "What each intervention changed"
    found = records.interventions
    if found is None:
        return Section(key, title, (Text("The effects of single interventions were not measured.", "missing"),))
    if not found.interventions:
        return Section(key, title, (Text("No arm intervened, so there is no effect to show.", "missing"),))
    about = (
        f"{counted(len(found.interventions), 'intervention')}"
        f"{f' of {found.decisions:,}, spread evenly over each run,' if found.decisions > len(found.interventions) else ''} "
        f"against a twin that did nothing, over the same {found.horizon} batches (fewer near a run's end): the "
        "mean training loss of the batches after the first, and the validation loss at the end, with the "
        "intervention minus without it. Below zero it helped. Interventions of one run are not independent, so the intervals "
        "count runs."
    )
    metrics = sorted({metric for one in found.interventions for metric in one.effect})
    shown = [
        metric for metric in metrics if any(math.isfinite(i.effect.get(metric, math.nan)) for i in found.interventions)
    ]
    blocks: list[Block] = [
        Text(about),
        Plots(tuple(_plot(records, found, place, metric) for place, metric in enumerate(shown))),
        _means(found.effects),
    ]
    return Section(key, title, (*blocks, _every(found, metrics)))


def _plot(records: Records, found: Interventions, place: int, metric: str) -> Plot:
    arms = [arm for arm in records.design.order if any(one.arm == arm for one in found.interventions)]
    means = {effect.arm: effect for effect in found.effects if effect.metric == metric}

    def draw(figure: Any, axes: Any) -> None:
        axes.axhline(0.0, color=INK, lw=1.0)
        handles: list[Any] = []
        labels: list[str] = []
        values = [0.0]
        for at, arm in enumerate(arms):
            look = looks(records.design.order).get(arm, Look(INK, "o", "-"))
            own = [
                e
                for e in (i.effect.get(metric, math.nan) for i in found.interventions if i.arm == arm)
                if math.isfinite(e)
            ]
            across = np.linspace(-0.22, 0.22, len(own)) if len(own) > 1 else np.zeros(len(own))
            (dots,) = axes.plot(at + across, own, look.marker, color=look.colour, ms=4, alpha=0.6, mew=0)
            values += own
            if arm in means:
                mean, low, high = means[arm].mean, means[arm].low, means[arm].high
                error = [[mean - low], [high - mean]] if math.isfinite(low) and math.isfinite(high) else None
                bar = axes.errorbar(
                    [at + 0.36], [mean], yerr=error, fmt="_", color=look.colour, lw=2.2, ms=12, mew=2.4, capsize=4
                )
                values += [mean, *([low, high] if error else [])]
                if not labels:
                    handles, labels = [dots, bar], ["one intervention", "mean and interval"]
        fit(axes, values)
        axes.set_xticks(range(len(arms)), [drawable(arm, 14) for arm in arms])
        axes.set_xlim(-0.6, len(arms) - 0.2)
        axes.set_ylabel(f"effect on {drawable(metric)}")
        if labels:
            legend(figure, handles, labels)

    told = "; ".join(
        f"{arm} {signed(effect.mean)} ({interval(effect.low, effect.high)})" for arm, effect in means.items()
    )
    description = f"Effect of every intervention on {metric}, by arm. Mean and interval: {told or 'none recorded'}."
    return plot(file_name("interventions", place + 1, metric), metric, description, draw)


def _means(effects: list[Effect]) -> Table:
    rows = tuple(
        (e.arm, e.metric, signed(e.mean), interval(e.low, e.high), f"{100 * e.level:.3g}%", str(e.interventions), str(e.runs),
         e.note or "")
        for e in effects
    )  # fmt: skip
    columns = ("arm", "metric", "mean effect", "interval", "level", "interventions", "runs", "note")
    return Table("Mean effects by arm", columns, rows, words=frozenset({0, 1, 7}))


def _every(found: Interventions, metrics: list[str]) -> Table:
    rows = tuple(
        (
            one.arm,
            str(one.seed),
            str(one.step),
            one.kind.replace("_", " "),
            *(signed(one.effect.get(metric)) for metric in metrics),
            one.reason,
        )
        for one in found.interventions
    )
    columns = ("arm", "seed", "step", "kind", *metrics, "reason")
    return Table("Every intervention", columns, rows, words=frozenset({0, 3, len(columns) - 1}), folded=True)


def detection(records: Records) -> Section:
    """Decisions against the injected faults, whose truth is known."""
    key, title = "detection", "Detections against injected faults"
    scores = records.detection
    if scores is None:
        return Section(
            key, title, (Text("No detection was scored: no faults were injected, or no arm decides.", "missing"),)
        )
    if not scores:
        return Section(key, title, (Text("There is no run whose decisions could be scored.", "missing"),))
    about = (
        "Recall is the share of faults that a decision answered; a false alarm is a decision that answers none; the delay counts "
        "from a fault's first step to the first decision on it; the excess-loss area is the loss above its level before the "
        "fault, summed until recovery. Means over the runs, ± their standard deviation."
    )
    arms = list(dict.fromkeys(score.arm for score in scores))
    rows = tuple(_scores(arm, [score for score in scores if score.arm == arm]) for arm in arms)
    columns = (
        "arm",
        "runs",
        "faults a run",
        "recall",
        "false alarms a run",
        "delay (steps)",
        "excess-loss area (nats · steps)",
    )
    return Section(key, title, (Text(about), Table("Detection by arm", columns, rows)))


def _scores(arm: str, own: list[DetectionScore]) -> tuple[str, ...]:
    columns = ([float(s.faults) for s in own], [s.recall for s in own], [float(s.false_alarms) for s in own],
               [s.delay for s in own], [s.excess for s in own])  # fmt: skip
    return (arm, str(len(own)), *(spread(values) for values in columns))


def spread(values: list[float]) -> str:
    """Mean ± standard deviation of what is finite; the mean alone of one value, a dash of none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return figure(None)
    mean = f"{float(np.mean(finite)):.3g}"
    return mean if len(finite) == 1 else f"{mean} ± {float(np.std(finite, ddof=1)):.2g}"
