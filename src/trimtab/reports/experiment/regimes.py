"""One pair over its steps: the monitor's statistics and regimes, and the controller's decisions."""

from typing import Any

import numpy as np

from trimtab.reports.blocks import DASH, Plot, Plots, Section, Table, Text
from trimtab.reports.drawing import (
    drawable,
    file_name,
    fit,
    legend,
    log_axis,
    looks,
    plot,
    steps_axis,
    thinned,
)
from trimtab.reports.experiment.episodes import EpisodeRecords, Row, Trace
from trimtab.reports.experiment.losses import example_cell, words
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.series import Series
from trimtab.reports.style import BLUE, GREEN, INK, ORANGE, RED, VIOLET

KEY, TITLE = "regimes", "One pair, step by step"

SHADES: dict[str, tuple[str, float]] = {
    "warming": (INK, 0.12),
    "stable": (GREEN, 0.18),
    "plateau": (BLUE, 0.18),
    "overfitting": (VIOLET, 0.22),
    "unstable": (ORANGE, 0.22),
    "diverged": (RED, 0.30),
}
"""Colour and opacity of each regime; the plot also names them, and a table counts their steps."""

KINDS = {
    "decision": ("v", "settings changed"),
    "decision_clip": ("D", "step clipped"),
    "decision_skip": ("x", "step skipped"),
    "decision_rewind": ("<", "rewind"),
    "decision_stop": ("s", "stop"),
}
"""Marker and name of a decision, by the kind of its event."""


def regimes(records: ExperimentRecords) -> Section:
    """The baseline and a treatment of the pair whose difference is the median, side by side."""
    chosen = _example(records)
    if chosen is None:
        return Section(KEY, TITLE, (Text("No pair has ended yet.", "missing"),))
    base, treated, why = chosen
    where = f" It is shown for {words(records, base.cell)}." if base.cell else ""
    about = (
        f"{why}{where} The background colour is the monitor's regime, named above where there is room. In the "
        "panel of the smoothed loss, marks are the controller's decisions and red ticks are steps with an injected fault."
    )
    plots = Plots((_plot(records, base), _plot(records, treated)))
    same = (
        (Text(f"The controller of {treated.arm} never acted in this pair, so both plots show the same run."),)
        if treated.same
        else ()
    )
    return Section(KEY, TITLE, (Text(about), *same, plots, _step_counts((base, treated))))


def _example(records: ExperimentRecords) -> tuple[EpisodeRecords, EpisodeRecords, str] | None:
    verdicts = list(records.claims.values())
    acted = [verdict for verdict in verdicts if verdict.nonzero]
    cell = example_cell(records)
    for verdict in acted or verdicts:
        order = sorted(range(len(verdict.seeds)), key=lambda i: (verdict.differences[i], verdict.seeds[i]))
        middle = order[(len(order) - 1) // 2]
        seed = verdict.seeds[middle]
        which = "the median" if len(order) % 2 else "the lower of the two middle ones"
        why = (
            f"Seed {seed} under {verdict.baseline} and {verdict.treatment}: the pair whose difference "
            f"({verdict.differences[middle]:+.4g}) is {which} of {len(order)}."
        )
        pair = _pair(records, verdict.treatment, seed, cell)
        if pair is not None:
            return *pair, why
    for arm in records.spec.treatments:
        for seed in records.spec.seed_list:
            pair = _pair(records, arm, seed, cell)
            if pair is not None:
                return (
                    *pair,
                    f"Seed {seed} under {records.spec.baseline_arm} and {arm}: the first pair that has ended.",
                )
    return None


def _pair(
    records: ExperimentRecords, arm: str, seed: int, cell: tuple[Any, ...]
) -> tuple[EpisodeRecords, EpisodeRecords] | None:
    sides = [e for name in (records.spec.baseline_arm, arm) for e in records.of(name, cell) if e.seed == seed]
    if len(sides) != 2 or not all(side.finished and side.trace is not None for side in sides):
        return None
    return sides[0], sides[1]


def _plot(records: ExperimentRecords, episode: EpisodeRecords) -> Plot:
    trace = episode.trace
    assert trace is not None
    colour = looks(records.arms)[episode.arm].colour
    rate = _rate(trace.series["lr"])
    panels = [("smoothed loss", "loss_ema"), ("gradient norm", "grad_norm"), ("volatility", "loss_volatility")]
    if rate is not None:
        panels.append(("learning rate", "lr"))
    decisions = [] if episode.same else [row for row in trace.events if row.get("kind") in KINDS]

    def draw(figure: Any, axes: Any) -> None:
        handles: dict[str, Any] = {}
        for axis, (label, name) in zip(axes[1:], panels, strict=True):
            series = rate if name == "lr" and rate is not None else trace.series[name].finite()
            shown = (
                Series(series.steps, np.where(series.values > 0, series.values, np.nan))
                if name != "loss_ema"
                else series
            )
            part = thinned(shown)
            axis.plot(part.steps, part.values, color=colour, lw=1.2)
            if name in ("grad_norm", "lr") and (part.values > 0).any():
                log_axis(axis.yaxis, part.values.tolist())
            elif name != "lr":
                fit(axis, part.values.tolist())
            axis.set_ylabel(label, fontsize=9.5)
        _name(figure, axes, trace)
        _mark(axes[1], trace, decisions, handles)
        _bounds(axes[2], decisions, handles)
        figure.align_ylabels(axes)
        steps_axis(axes[-1])
        if handles:
            legend(figure, list(handles.values()), list(handles), columns=3)

    kept = len(decisions)
    losses = trace.series["loss_ema"].finite().values
    last = f"{losses[-1]:.4g}" if len(losses) else "unknown"
    return plot(
        file_name("regimes", records.arms.index(episode.arm) + 1, episode.arm, "seed", episode.seed),
        f"{episode.arm}, seed {episode.seed}",
        f"Monitor statistics of {episode.arm}, seed {episode.seed}: smoothed loss at the end {last}, {kept} decisions, regimes "
        f"{', then '.join(dict.fromkeys(span.name for span in trace.regimes)) or 'none recorded'}.",
        draw,
        height=1.7 + 1.15 * len(panels),
        nrows=1 + len(panels),
        sharex=True,
        gridspec_kw={"height_ratios": [0.2, 1.5, *[1.0] * (len(panels) - 1)]},
    )


def _rate(series: Series) -> Series | None:
    """The learning rate over the steps that were not skipped; None where it never changed."""
    made = series.values > 0
    rate = Series(series.steps[made], series.values[made])
    return rate if len(rate) and np.ptp(rate.values) > 1e-12 * rate.values.max() else None


def _name(figure: Any, axes: Any, trace: Trace) -> None:
    """Shade the regimes in every panel, and name them in the first panel where there is room."""
    strip = axes[0]
    strip.set_yticks([])
    strip.grid(visible=False)
    strip.tick_params(axis="x", length=0)
    for side in strip.spines.values():
        side.set_visible(False)
    steps = max((span.last for span in trace.regimes), default=0) - min((s.first for s in trace.regimes), default=0) + 1
    for span in trace.regimes:
        tint, strength = SHADES.get(span.name, (INK, 0.1))
        for axis in axes:
            axis.axvspan(span.first - 0.5, span.last + 0.5, color=tint, alpha=strength, lw=0)
        if (span.last - span.first + 1) / steps > 0.022 * len(span.name):
            middle = (span.first + span.last) / 2
            strip.text(
                middle,
                0.42,
                drawable(span.name),
                transform=strip.get_xaxis_transform(),
                ha="center",
                va="center",
                fontsize=8.5,
            )


def _mark(axes: Any, trace: Trace, decisions: list[Row], handles: dict[str, Any]) -> None:
    place = axes.get_xaxis_transform()
    for height, (kind, (marker, name)) in enumerate(KINDS.items()):
        steps = [row["step"] for row in decisions if row["kind"] == kind]
        if steps:
            filled = {"mfc": "none"} if marker not in "x" else {}
            (handles[name],) = axes.plot(
                steps, [0.95 - 0.07 * height] * len(steps), marker, color=INK, ms=5, mew=1.2, transform=place, **filled
            )
    fault_steps = [step for span in trace.faults for step in range(span.first, span.last + 1)]
    if fault_steps:
        (handles["fault"],) = axes.plot(
            fault_steps, [0.03] * len(fault_steps), "|", color=RED, ms=8, mew=1.2, transform=place
        )


def _bounds(axes: Any, decisions: list[Row], handles: dict[str, Any]) -> None:
    """Mark the clipping bounds that the controller set, in the panel of gradient norms."""
    bounds = [(row["step"], row["after"]["clip"]) for row in decisions if (row.get("after") or {}).get("clip")]
    if bounds:
        (handles["clipped to"],) = axes.plot(*zip(*bounds, strict=True), "_", color=RED, ms=5, mew=1.4)


def _step_counts(sides: tuple[EpisodeRecords, EpisodeRecords]) -> Table:
    rows = []
    for name in SHADES:
        counts = []
        for side in sides:
            assert side.trace is not None
            steps = sum(s.last - s.first + 1 for s in side.trace.regimes if s.name == name)
            counts.append(str(steps) if steps else DASH)
        rows.append((name, *counts))
    return Table("Steps in each regime", ("regime", *(drawable(side.arm) for side in sides)), tuple(rows))
