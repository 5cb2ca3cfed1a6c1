"""Losses over the steps, by arm: every seed, and their median."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trimtab.boundary import counted
from trimtab.reports.blocks import Plot, Plots, Section, Text
from trimtab.reports.drawing import (
    Look,
    drawable,
    file_name,
    fit,
    legend,
    looks,
    plot,
    steps_axis,
    thinned,
)
from trimtab.reports.experiment.episodes import Episode
from trimtab.reports.experiment.records import Records
from trimtab.reports.series import Series, smooth
from trimtab.reports.style import INK, RED

KEY, TITLE = "losses", "Loss against steps"


def losses(records: Records) -> Section:
    """A figure for each arm, at one scale; an arm that mostly diverged has its own."""
    cell = example_cell(records)
    begun = {arm: [e for e in records.of(arm, cell) if e.trace is not None] for arm in records.design.order}
    drawn = {arm: runs for arm, runs in begun.items() if any(len(_training(run)) for run in runs)}
    if not drawn:
        return Section(KEY, TITLE, (Text("No episode has recorded a step yet.", "missing"),))
    shared = _heights([r for runs in drawn.values() if not _own_scale(runs) for r in runs if r.status != "diverged"])
    about = (
        "Training loss of every seed (thin; an average over up to 20 steps) and its median over the seeds (bold), of the "
        "passages that rewinds left; marks joined "
        "by a line are the median validation loss. A run that diverged counts as infinitely high after its end. What a forked "
        "run shares with its baseline is drawn as its own. Red ticks are steps that an injected fault struck."
    )
    if any(run.trained_on is not None for runs in drawn.values() for run in runs):
        about += (
            " An arm that trains on another loss than the cross-entropy is drawn in that loss, training and validation, on a "
            "scale of its own; the last figure has the cross-entropy of every arm."
        )
    note = () if not cell else (Text(f"Drawn for {words(records, cell)}, where the baseline ended lowest."),)
    plots = tuple(
        _plot(records, arm, runs, _heights(runs) if _own_scale(runs) else shared) for arm, runs in drawn.items()
    )
    if any(run.trained_on is not None for runs in drawn.values() for run in runs):
        plots = (*plots, _cross_entropies(records, drawn))
    return Section(KEY, TITLE, (Text(about), *note, Plots(plots)))


def example_cell(records: Records) -> tuple[Any, ...]:
    """The factors' values that single curves are shown for: where the baseline's median final loss is lowest."""

    def level(cell: tuple[Any, ...]) -> float:
        ended = [e.figures.get("val_loss", np.inf) for e in records.of(records.design.baseline, cell) if e.finished]
        return float(np.median(ended)) if ended else np.inf

    return min(records.cells, key=level)


def words(records: Records, cell: tuple[Any, ...]) -> str:
    """The factors' values in words."""
    return ", ".join(f"{key} {value}" for key, value in zip(records.design.factors, cell, strict=True))


def median_over(runs: list[Series], diverged: list[bool]) -> Series:
    """The median over runs at every step that one of them has; a diverged run is infinitely high after its last step.

    Steps where the median is not finite, or where fewer than half of the runs count, are left out.
    """
    steps: Int[np.ndarray, " n"] = np.unique(np.concatenate([run.steps for run in runs]))
    table: Float[np.ndarray, "runs n"] = np.full((len(runs), len(steps)), np.nan)
    for row, run, over in zip(table, runs, diverged, strict=True):
        row[np.searchsorted(steps, run.steps)] = run.values
        if over and len(run):
            row[steps > run.steps[-1]] = np.inf
    enough = 2 * (~np.isnan(table)).sum(axis=0) >= len(runs)
    middle = np.nanmedian(table[:, enough], axis=0)
    keep = np.isfinite(middle)
    return Series(steps[enough][keep], middle[keep])


def _heights(runs: list[Episode]) -> list[float]:
    """The losses of these runs that must be seen: a spike in training may be cut, an evaluation not."""
    trained = [value for run in runs for value in _smoothed(run).values]
    evaluated = [float(value) for run in runs for value in _validation(run).values]
    if not trained:
        return evaluated
    return [*evaluated, float(np.quantile(trained, 0.995)), min(trained)]


def _mostly_diverged(runs: list[Episode]) -> bool:
    return 2 * sum(run.status == "diverged" for run in runs) > len(runs)


def _own_scale(runs: list[Episode]) -> bool:
    return _mostly_diverged(runs) or any(run.trained_on is not None for run in runs)


def _quantity(runs: list[Episode]) -> str:
    """What the loss of an arm's runs is."""
    return "loss trained on" if any(run.trained_on is not None for run in runs) else "loss (nats per token)"


def _training(run: Episode) -> Series:
    assert run.trace is not None
    return run.trace.series["train_loss"].finite()


def _smoothed(run: Episode) -> Series:
    return smooth(_training(run), 20.0)


def _validation(run: Episode) -> Series:
    """The evaluations of what is trained on."""
    assert run.trace is not None
    return (run.trace.validation if run.trained_on is None else run.trace.objective).finite()


def _cross_entropies(records: Records, drawn: dict[str, list[Episode]]) -> Plot:
    """The one loss that arms with different objectives share."""
    medians = {
        arm: median_over(
            [run.trace.validation.finite() for run in runs if run.trace is not None],
            [run.status == "diverged" for run in runs],
        )
        for arm, runs in drawn.items()
    }

    def draw(figure: Any, axes: Any) -> None:
        styles, handles = looks(records.design.order), []
        for arm, line in medians.items():
            look = styles[arm]
            handles += axes.plot(
                line.steps, line.values, color=look.colour, marker=look.marker, ms=5, mfc="none", lw=1.2, ls=look.dash
            )
        fit(axes, [float(value) for line in medians.values() for value in line.values])
        axes.set_ylabel("cross-entropy (nats per token)")
        steps_axis(axes)
        legend(figure, handles, [drawable(arm, 20) for arm in medians])

    told = "; ".join(f"{arm} {line.values[-1]:.4g}" for arm, line in medians.items() if len(line))
    return plot(
        file_name("losses-cross-entropy"),
        "Validation cross-entropy, every arm",
        f"Median validation cross-entropy against steps; at the end {told or 'nothing is recorded'}.",
        draw,
    )


def _plot(records: Records, arm: str, runs: list[Episode], heights: list[float]) -> Plot:
    look: Look = looks(records.design.order)[arm]
    over = [run.status == "diverged" for run in runs]
    lines = [_smoothed(run) for run in runs]
    evaluated = [_validation(run) for run in runs]
    middle, measured = median_over(lines, over), median_over(evaluated, over)
    struck = sorted(
        {step for r in runs if r.trace is not None for s in r.trace.faults for step in range(s.first, s.last + 1)}
    )

    def draw(figure: Any, axes: Any) -> None:
        for line in lines:
            part = thinned(line)
            axes.plot(part.steps, part.values, color=look.colour, lw=0.6, alpha=0.4)
        part = thinned(middle)
        handles = axes.plot(part.steps, part.values, color=look.colour, lw=2.2)
        labels = [f"{drawable(arm, 18)}: training"]
        if len(measured):
            style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "ms": 5, "mfc": "none", "mew": 1.3}
            handles += axes.plot(measured.steps, measured.values, lw=1.0, ls=(0, (2, 1.5)), **style)
            labels.append("validation")
        fit(axes, heights)
        if struck:
            bottom = axes.get_xaxis_transform()
            handles += axes.plot(struck, [0.02] * len(struck), "|", color=RED, ms=8, mew=1.2, transform=bottom)
            labels.append("fault")
        top = axes.get_ylim()[1]
        ends = [
            (line.steps[-1], min(line.values[-1], top)) for line, o in zip(lines, over, strict=True) if o and len(line)
        ]
        if ends:
            handles += axes.plot(*zip(*ends, strict=True), "x", color=INK, ms=8, mew=1.8, clip_on=False)
            labels.append("diverged")
        axes.set_ylabel(f"{_quantity(runs)}{', own scale' if _own_scale(runs) else ''}")
        steps_axis(axes)
        legend(figure, handles, labels)

    last = f"{middle.values[-1]:.4g} at step {middle.steps[-1]}" if len(middle) else "not finite"
    what = "validation loss" if runs[0].trained_on is None else "validation loss in what is trained on"
    ended = f"; median {what} at the end {measured.values[-1]:.4g}" if len(measured) else ""
    return plot(
        file_name("losses", records.design.order.index(arm) + 1, arm),
        f"{arm}: {counted(len(runs), 'run')}",
        f"Loss against steps of {arm}, {counted(len(runs), 'run')}, {sum(over)} diverged: median smoothed training loss {last}"
        f"{ended}.",
        draw,
    )
