"""Losses over steps, by arm: every seed and the median over seeds."""

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
from trimtab.reports.experiment.episodes import EpisodeRecords
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.series import Series, smooth
from trimtab.reports.style import INK, RED

KEY, TITLE = "losses", "Loss over steps"


def losses(records: ExperimentRecords) -> Section:
    """A plot per arm, all at one scale but for arms that mostly diverged or train on another loss."""
    cell = example_cell(records)
    started = {arm: [e for e in records.of(arm, cell) if e.trace is not None] for arm in records.arms}
    drawn = {arm: runs for arm, runs in started.items() if any(len(_training(run)) for run in runs)}
    if not drawn:
        return Section(KEY, TITLE, (Text("No episode has recorded a step yet.", "missing"),))
    shared = _heights([r for runs in drawn.values() if not _own_scale(runs) for r in runs if r.status != "diverged"])
    about = (
        "Training loss of every seed (thin lines, averaged over up to 20 steps) and the median over seeds (bold). Marks joined "
        "by a line are the median validation loss. Steps that a rewind discarded are left out, and steps that a fork shares "
        "with its parent are included. A diverged run counts as infinitely high after its last step. Red ticks mark steps with "
        "an injected fault."
    )
    if any(run.trained_on is not None for runs in drawn.values() for run in runs):
        about += (
            " An arm that trains on a loss other than the cross-entropy is drawn in that loss, for training and validation, on "
            "its own scale; the last plot shows the cross-entropy of every arm."
        )
    note = (
        ()
        if not cell
        else (Text(f"Drawn for {words(records, cell)}, where the baseline has its lowest median validation loss."),)
    )
    plots = tuple(
        _plot(records, arm, runs, _heights(runs) if _own_scale(runs) else shared) for arm, runs in drawn.items()
    )
    if any(run.trained_on is not None for runs in drawn.values() for run in runs):
        plots = (*plots, _cross_entropies(records, drawn))
    return Section(KEY, TITLE, (Text(about), *note, Plots(plots)))


def example_cell(records: ExperimentRecords) -> tuple[Any, ...]:
    """The factors' values for which curves are drawn: those with the lowest median final loss of the baseline."""

    def level(cell: tuple[Any, ...]) -> float:
        ended = [e.figures.get("val_loss", np.inf) for e in records.of(records.spec.baseline_arm, cell) if e.finished]
        return float(np.median(ended)) if ended else np.inf

    return min(records.cells, key=level)


def words(records: ExperimentRecords, cell: tuple[Any, ...]) -> str:
    """The factors' values as text: `lr 0.1, width 64`."""
    return ", ".join(f"{key} {value}" for key, value in zip(records.spec.factors, cell, strict=True))


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


def _heights(runs: list[EpisodeRecords]) -> list[float]:
    """The losses that the vertical axis must include: every evaluation, but not the highest spikes of training."""
    trained = [value for run in runs for value in _smoothed(run).values]
    evaluated = [float(value) for run in runs for value in _validation(run).values]
    if not trained:
        return evaluated
    return [*evaluated, float(np.quantile(trained, 0.995)), min(trained)]


def _mostly_diverged(runs: list[EpisodeRecords]) -> bool:
    return 2 * sum(run.status == "diverged" for run in runs) > len(runs)


def _own_scale(runs: list[EpisodeRecords]) -> bool:
    return _mostly_diverged(runs) or any(run.trained_on is not None for run in runs)


def _quantity(runs: list[EpisodeRecords]) -> str:
    """The label of the loss axis for an arm's runs."""
    return "loss trained on" if any(run.trained_on is not None for run in runs) else "loss (nats per token)"


def _training(run: EpisodeRecords) -> Series:
    assert run.trace is not None
    return run.trace.series["train_loss"].finite()


def _smoothed(run: EpisodeRecords) -> Series:
    return smooth(_training(run), 20.0)


def _validation(run: EpisodeRecords) -> Series:
    """The validation values of the loss that the run trains on."""
    assert run.trace is not None
    return (run.trace.validation if run.trained_on is None else run.trace.objective).finite()


def _cross_entropies(records: ExperimentRecords, drawn: dict[str, list[EpisodeRecords]]) -> Plot:
    """A plot of the validation cross-entropy, which arms with different objectives have in common."""
    medians = {
        arm: median_over(
            [run.trace.validation.finite() for run in runs if run.trace is not None],
            [run.status == "diverged" for run in runs],
        )
        for arm, runs in drawn.items()
    }

    def draw(figure: Any, axes: Any) -> None:
        styles, handles = looks(records.arms), []
        for arm, line in medians.items():
            look = styles[arm]
            handles += axes.plot(
                line.steps, line.values, color=look.colour, marker=look.marker, ms=5, mfc="none", lw=1.2, ls=look.dash
            )
        fit(axes, [float(value) for line in medians.values() for value in line.values])
        axes.set_ylabel("cross-entropy (nats per token)")
        steps_axis(axes)
        legend(figure, handles, [drawable(arm, 20) for arm in medians])

    finals = "; ".join(f"{arm} {line.values[-1]:.4g}" for arm, line in medians.items() if len(line))
    return plot(
        file_name("losses-cross-entropy"),
        "Validation cross-entropy, every arm",
        f"Median validation cross-entropy over steps; at the end {finals or 'nothing is recorded'}.",
        draw,
    )


def _plot(records: ExperimentRecords, arm: str, runs: list[EpisodeRecords], heights: list[float]) -> Plot:
    look: Look = looks(records.arms)[arm]
    over = [run.status == "diverged" for run in runs]
    lines = [_smoothed(run) for run in runs]
    evaluated = [_validation(run) for run in runs]
    middle, measured = median_over(lines, over), median_over(evaluated, over)
    fault_steps = sorted(
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
        if fault_steps:
            bottom = axes.get_xaxis_transform()
            handles += axes.plot(
                fault_steps, [0.02] * len(fault_steps), "|", color=RED, ms=8, mew=1.2, transform=bottom
            )
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
    what = "validation loss" if runs[0].trained_on is None else "validation value of the loss trained on"
    ended = f"; median {what} at the end {measured.values[-1]:.4g}" if len(measured) else ""
    return plot(
        file_name("losses", records.arms.index(arm) + 1, arm),
        f"{arm}: {counted(len(runs), 'run')}",
        f"Loss over steps of {arm}, {counted(len(runs), 'run')}, {sum(over)} diverged: median smoothed training loss {last}"
        f"{ended}.",
        draw,
    )
