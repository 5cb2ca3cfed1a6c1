"""The effects of single interventions, and how well decisions detected injected faults."""

import math
from typing import Any

import numpy as np

from trimtab.boundary import counted
from trimtab.records.experiment_files import DetectionRecord, InterventionsRecord, MeanEffect
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
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.style import INK


def interventions(records: ExperimentRecords) -> Section:
    """The effect of every intervention, and the mean effect by arm."""
    key, title = "interventions", "Effects of interventions"
    record = records.interventions
    if record is None:
        return Section(key, title, (Text("The effects of single interventions were not measured.", "missing"),))
    if not record.interventions:
        return Section(key, title, (Text("No arm intervened, so there is no effect to show.", "missing"),))
    every = record.decisions == len(record.interventions)
    sampled = "" if every else f" of {record.decisions:,}, evenly spaced in each run"
    about = (
        f"{counted(len(record.interventions), 'intervention')}{sampled}. For each, the run was continued with it and without "
        f"it, on the same {record.horizon} batches (fewer near the end of a run). An effect is the loss with the intervention "
        "minus the loss without: the mean training loss over the batches after the first, and the validation loss at the end. "
        "Below zero the intervention helped. Interventions of one run are not independent, so intervals treat a run as one "
        "cluster."
    )
    metrics = sorted({metric for one in record.interventions for metric in one.effect})
    shown = [
        metric for metric in metrics if any(math.isfinite(i.effect.get(metric, math.nan)) for i in record.interventions)
    ]
    blocks: list[Block] = [
        Text(about),
        Plots(tuple(_plot(records, record, place, metric) for place, metric in enumerate(shown))),
        _means(record.effects),
    ]
    return Section(key, title, (*blocks, _every(record, metrics)))


def _plot(records: ExperimentRecords, record: InterventionsRecord, place: int, metric: str) -> Plot:
    arms = [arm for arm in records.arms if any(one.arm == arm for one in record.interventions)]
    means = {effect.arm: effect for effect in record.effects if effect.metric == metric}

    def draw(figure: Any, axes: Any) -> None:
        axes.axhline(0.0, color=INK, lw=1.0)
        handles: list[Any] = []
        labels: list[str] = []
        values = [0.0]
        for at, arm in enumerate(arms):
            look = looks(records.arms).get(arm, Look(INK, "o", "-"))
            own = [
                e
                for e in (i.effect.get(metric, math.nan) for i in record.interventions if i.arm == arm)
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

    summary = "; ".join(
        f"{arm} {signed(effect.mean)} ({interval(effect.low, effect.high)})" for arm, effect in means.items()
    )
    description = f"Effect of every intervention on {metric}, by arm. Mean and interval: {summary or 'none recorded'}."
    return plot(file_name("interventions", place + 1, metric), metric, description, draw)


def _means(effects: list[MeanEffect]) -> Table:
    rows = tuple(
        (e.arm, e.metric, signed(e.mean), interval(e.low, e.high), f"{100 * e.level:.3g}%", str(e.interventions), str(e.runs),
         e.note or "")
        for e in effects
    )  # fmt: skip
    columns = ("arm", "metric", "mean effect", "interval", "level", "interventions", "runs", "note")
    return Table("Mean effects by arm", columns, rows, words=frozenset({0, 1, 7}))


def _every(record: InterventionsRecord, metrics: list[str]) -> Table:
    rows = tuple(
        (
            one.arm,
            str(one.seed),
            str(one.step),
            one.kind.replace("_", " "),
            *(signed(one.effect.get(metric)) for metric in metrics),
            one.reason,
        )
        for one in record.interventions
    )
    columns = ("arm", "seed", "step", "kind", *metrics, "reason")
    return Table("Every intervention", columns, rows, words=frozenset({0, 3, len(columns) - 1}), folded=True)


def detection(records: ExperimentRecords) -> Section:
    """How well decisions match the injected faults, by arm."""
    key, title = "detection", "Detection of injected faults"
    scores = records.detection
    if scores is None:
        return Section(
            key,
            title,
            (Text("No detection was scored: no faults were injected, or no arm has a controller.", "missing"),),
        )
    if not scores:
        return Section(key, title, (Text("No run with a controller has ended yet.", "missing"),))
    about = (
        "Recall is the share of faults that a decision followed in time; a false alarm is a decision that follows no fault. The "
        "delay is the number of steps from a fault's first step to the first decision. The excess-loss area is the sum of the "
        "loss above its level before the fault, until it recovers. Values are means over runs ± standard deviation."
    )
    arms = list(dict.fromkeys(score.arm for score in scores))
    rows = tuple(_scores(arm, [score for score in scores if score.arm == arm]) for arm in arms)
    columns = (
        "arm",
        "runs",
        "faults per run",
        "recall",
        "false alarms per run",
        "delay (steps)",
        "excess-loss area (nats · steps)",
    )
    return Section(key, title, (Text(about), Table("Detection by arm", columns, rows)))


def _scores(arm: str, own: list[DetectionRecord]) -> tuple[str, ...]:
    columns = ([float(s.faults) for s in own], [s.recall for s in own], [float(s.false_alarms) for s in own],
               [s.delay for s in own], [s.excess for s in own])  # fmt: skip
    return (arm, str(len(own)), *(spread(values) for values in columns))


def spread(values: list[float]) -> str:
    """Mean ± standard deviation of the finite values; the mean alone for one value, a dash for none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return figure(None)
    mean = figure(float(np.mean(finite)), 3)
    return mean if len(finite) == 1 else f"{mean} ± {figure(float(np.std(finite, ddof=1)), 2)}"
