"""One pair over its steps: what the monitor saw, what was decided."""

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
from trimtab.reports.experiment.episodes import Episode, Row, Trace
from trimtab.reports.experiment.losses import example_cell, words
from trimtab.reports.experiment.records import Records
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
"""Colour and strength of each regime; their names stand above, and their steps in a table."""

KINDS = {
    "decision": ("v", "settings changed"),
    "decision_clip": ("D", "step clipped"),
    "decision_skip": ("x", "step skipped"),
    "decision_rewind": ("<", "rewind"),
    "decision_stop": ("s", "stop"),
}
"""A decision's mark, and what it is called, by the kind of its event."""


def regimes(records: Records) -> Section:
    """The baseline and a treatment of the pair whose difference is the median, side by side."""
    chosen = _example(records)
    if chosen is None:
        return Section(KEY, TITLE, (Text("No pair has ended yet, so there is none to show.", "missing"),))
    base, treated, why = chosen
    where = f" It is shown for {words(records, base.cell)}." if base.cell else ""
    about = (
        f"{why}{where} The background is the regime that the monitor named (above where there is room); marks at "
        "the top are the controller's decisions, red ticks at the bottom of that panel are steps that an injected fault struck."
    )
    plots = Plots((_plot(records, base), _plot(records, treated)))
    same = (Text(f"{treated.arm} never acted in this pair: the two are one run."),) if treated.same else ()
    return Section(KEY, TITLE, (Text(about), *same, plots, _shares((base, treated))))


def _example(records: Records) -> tuple[Episode, Episode, str] | None:
    findings = list(records.claims.values())
    acted = [finding for finding in findings if finding.nonzero]
    cell = example_cell(records)
    for finding in acted or findings:
        order = sorted(range(len(finding.seeds)), key=lambda i: (finding.differences[i], finding.seeds[i]))
        middle = order[(len(order) - 1) // 2]
        seed = finding.seeds[middle]
        which = "the median" if len(order) % 2 else "the lower of the two middle ones"
        why = (
            f"Seed {seed} under {finding.baseline} and {finding.treatment}: the pair whose difference "
            f"({finding.differences[middle]:+.4g}) is {which} of {len(order)}."
        )
        found = _pair(records, finding.treatment, seed, cell)
        if found is not None:
            return *found, why
    for arm in records.design.treatments:
        for seed in records.design.seed_list:
            found = _pair(records, arm, seed, cell)
            if found is not None:
                return *found, f"Seed {seed} under {records.design.baseline} and {arm}: the first pair that has ended."
    return None


def _pair(records: Records, arm: str, seed: int, cell: tuple[Any, ...]) -> tuple[Episode, Episode] | None:
    sides = [e for name in (records.design.baseline, arm) for e in records.of(name, cell) if e.seed == seed]
    if len(sides) != 2 or not all(side.finished and side.trace is not None for side in sides):
        return None
    return sides[0], sides[1]


def _plot(records: Records, episode: Episode) -> Plot:
    trace = episode.trace
    assert trace is not None
    colour = looks(records.design.order)[episode.arm].colour
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
        file_name("regimes", records.design.order.index(episode.arm) + 1, episode.arm, "seed", episode.seed),
        f"{episode.arm}, seed {episode.seed}",
        f"Monitor's figures of {episode.arm}, seed {episode.seed}: smoothed loss at the end {last}, {kept} decisions, regimes "
        f"{', then '.join(dict.fromkeys(span.name for span in trace.regimes)) or 'none recorded'}.",
        draw,
        height=1.7 + 1.15 * len(panels),
        nrows=1 + len(panels),
        sharex=True,
        gridspec_kw={"height_ratios": [0.2, 1.5, *[1.0] * (len(panels) - 1)]},
    )


def _rate(series: Series) -> Series | None:
    """The learning rate where a step was made; None where it never changed."""
    made = series.values > 0
    found = Series(series.steps[made], series.values[made])
    return found if len(found) and np.ptp(found.values) > 1e-12 * found.values.max() else None


def _name(figure: Any, axes: Any, trace: Trace) -> None:
    """Shade the regimes in every panel; their names stand in the first one, where there is room for them."""
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
    struck = [step for span in trace.faults for step in range(span.first, span.last + 1)]
    if struck:
        (handles["fault"],) = axes.plot(struck, [0.03] * len(struck), "|", color=RED, ms=8, mew=1.2, transform=place)


def _bounds(axes: Any, decisions: list[Row], handles: dict[str, Any]) -> None:
    """The bounds that the controller clipped to, over the gradient norms."""
    bounds = [(row["step"], row["after"]["clip"]) for row in decisions if (row.get("after") or {}).get("clip")]
    if bounds:
        (handles["clipped to"],) = axes.plot(*zip(*bounds, strict=True), "_", color=RED, ms=5, mew=1.4)


def _shares(sides: tuple[Episode, Episode]) -> Table:
    rows = []
    for name in SHADES:
        counts = []
        for side in sides:
            assert side.trace is not None
            steps = sum(s.last - s.first + 1 for s in side.trace.regimes if s.name == name)
            counts.append(str(steps) if steps else DASH)
        rows.append((name, *counts))
    return Table("Steps in each regime", ("regime", *(drawable(side.arm) for side in sides)), tuple(rows))
