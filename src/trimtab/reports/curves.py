"""The loss curve of a run, as SVG and PNG."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.boundary import NotRegularFileError, inside
from trimtab.errors import RunError
from trimtab.records.atomic import write_bytes
from trimtab.records.failures import refused_place
from trimtab.records.run_directory import RunDirectory
from trimtab.reports.drawing import drawable
from trimtab.reports.series import Series, column, final_passage, overwritten, smooth, speed
from trimtab.reports.style import BLUE, GREEN, INK, ORANGE, RED, VIOLET, load_matplotlib, rendered, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def loss_curve(run: RunDirectory, out_folder: str | Path | None = None) -> list[Path]:
    """Draw `loss_curve.svg` and `loss_curve.png` into `out_folder` (default: the run's `plots`) and return their paths.

    The upper panel shows training loss (raw and smoothed) and validation loss over steps, in nats per token, with the best
    evaluation, steps with a non-finite loss, and steps that a rewind discarded marked. For a run on a loss other than the
    cross-entropy both are in that loss, and the legend gives the cross-entropy. The lower panel shows memory (MiB) and tokens
    per second. The same records give the same bytes. Raises RunError for a damaged record, WorkError when the disk refuses.
    """
    folder = Path(out_folder) if out_folder else run.plots_path
    figure = _draw(run)
    try:
        folder = folder if out_folder else inside(run.path, folder.name)
        folder.mkdir(parents=True, exist_ok=True)
    except NotRegularFileError as error:
        raise refused_place(error, folder) from error
    except OSError as error:
        raise RunError(f"Cannot make the folder {folder}: {error.strerror}. Choose another --out.") from error
    paths = []
    for suffix in ("svg", "png"):
        path = folder / f"loss_curve.{suffix}"
        write_bytes(path, rendered(figure, suffix))
        paths.append(path)
    return paths


def _draw(run: RunDirectory) -> "Figure":
    load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows, evaluations = run.steps(), run.evaluations()
    with style():
        figure = Figure(figsize=(8.0, 5.4), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3.2, 1.0]})
        _draw_loss(upper, rows, evaluations)
        _draw_process(lower, rows)
        upper.set_title(drawable(_title(run), 120), loc="left", fontsize=10)
        lower.set_xlabel("step")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels([upper, lower])
        steps = [row["step"] for row in (*rows, *evaluations)]
        if steps:
            low, high = min(steps), max(steps)
            margin = 0.02 * (high - low) or 1.0
            lower.set_xlim(low - margin, high + margin)
    return figure


def _draw_loss(axes: "Axes", rows: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> None:
    objective = column(final_passage(evaluations, rows), "val_objective")
    axes.set_ylabel("loss trained on" if len(objective) else "loss (nats per token)")
    raw = column(final_passage(rows), "train_loss")
    finite = raw.finite()
    few = len(finite) <= 20
    if len(finite):
        axes.plot(finite.steps, finite.values, color=BLUE, lw=0.7, alpha=0.45, marker="o" if few else None, ms=2.5)
        span = min(50.0, max(1.0, len(finite) / 10))
        smoothed = smooth(finite, span)
        label = f"training (average over up to {span:.0f} steps)" if span > 1 else "training"
        axes.plot(smoothed.steps, smoothed.values, color=BLUE, lw=1.8, label=label)
    gone = column(overwritten(rows), "train_loss").finite()
    if len(gone):
        axes.plot(gone.steps, gone.values, ".", color=INK, ms=2, alpha=0.6, label="discarded by a rewind")
    cross_entropy = column(final_passage(evaluations, rows), "val_loss").finite()
    validation = objective.finite() if len(objective) else cross_entropy
    if len(validation):
        label = "validation"
        if len(objective) and len(cross_entropy):
            label += f" (cross-entropy at the end {cross_entropy.values[-1]:.4f} nats per token)"
        axes.plot(validation.steps, validation.values, color=ORANGE, lw=1.2, marker="o", ms=4.5, label=label)
        if not len(objective):
            best = int(np.argmin(validation.values))
            _mark_best(axes, int(validation.steps[best]), float(validation.values[best]))
    if len(raw) > len(finite):
        _mark_non_finite(axes, raw)
    _frame(axes, finite, validation)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right")
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no loss has been recorded", transform=axes.transAxes, ha="center", va="center")


def _mark_best(axes: "Axes", step: int, loss: float) -> None:
    ring: dict[str, Any] = {"marker": "o", "ms": 11, "mfc": "none", "mec": ORANGE, "mew": 1.4, "ls": "none"}
    axes.plot([step], [loss], label=f"best validation: {loss:.4f} at step {step}", **ring)


def _mark_non_finite(axes: "Axes", raw: Series) -> None:
    from matplotlib.transforms import blended_transform_factory

    steps = raw.steps[~np.isfinite(raw.values)]
    bottom = blended_transform_factory(axes.transData, axes.transAxes)
    label = f"non-finite training loss ({len(steps)} step{'s' if len(steps) > 1 else ''})"
    axes.plot(steps, np.full(len(steps), 0.02), "x", color=RED, ms=6, mew=1.5, transform=bottom, label=label)


def _frame(axes: "Axes", train: Series, validation: Series) -> None:
    """Limit the vertical axis to the start of the curve, so that one spike does not flatten the rest; label a cut spike."""
    values = np.concatenate([train.values, validation.values])
    if len(values) < 2:
        return
    top = max(
        float(np.quantile(values, 0.995)), float(train.values[0]) if len(train) else -math.inf, *validation.values
    )
    low = float(values.min())
    margin = 0.06 * (top - low) or 0.05 * abs(top) or 0.1
    axes.set_ylim(low - margin, top + margin)
    if values.max() > top + margin:
        step = int(train.steps[np.argmax(train.values)])
        late = 2 * step > int(train.steps[0]) + int(train.steps[-1])  # the legend is on the right
        label = f" {values.max():.3g} at step {step} ↑ " if late else f" ↑ {values.max():.3g} at step {step} "
        axes.annotate(label, (step, top + margin), va="top", ha="right" if late else "left", fontsize=8)


def _draw_process(axes: "Axes", rows: list[dict[str, Any]]) -> None:
    """Memory on the left axis and speed on the right, for the steps that rewinds left."""
    memory, rate = column(final_passage(rows), "rss_mb").finite(), speed(rows).finite()
    axes.set_ylabel("memory (MiB)", color=VIOLET)
    axes.tick_params(axis="y", colors=VIOLET)
    if len(memory):
        axes.plot(memory.steps, memory.values, color=VIOLET, lw=1.3, marker="o" if len(memory) == 1 else None, ms=3)
        axes.set_ylim(0, 1.9 * float(memory.values.max()))  # keeps the two lines apart
    else:
        axes.set_yticks([])
    right = axes.twinx()
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    right.set_ylabel("tokens/s", color=GREEN)
    right.tick_params(axis="y", colors=GREEN)
    if len(rate):
        right.plot(rate.steps, rate.values, color=GREEN, lw=0.5, alpha=0.35)
        smoothed = smooth(rate, min(50.0, max(1.0, len(rate) / 10)))
        right.plot(smoothed.steps, smoothed.values, color=GREEN, lw=1.3)
        right.set_ylim(0, 1.2 * float(np.quantile(rate.values, 0.98)))
    else:
        right.set_yticks([])
    right.yaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")


def _title(run: RunDirectory) -> str:
    """Model and data from the manifest, or the name of the run's folder without one."""
    if not run.exists():
        return run.path.name
    manifest = run.manifest()
    model = manifest.config.get("model")
    shape = ""
    if isinstance(model, dict):
        sizes = [f"{model[key]} {key}" for key in ("layers", "heads") if key in model]
        sizes += [f"{key} {model[key]}" for key in ("width", "ff") if key in model]
        shape = f"{model.get('name', 'model')}" + (f" ({', '.join(sizes)})" if sizes else "")
    tokens = f", {manifest.data.tokens:,} tokens" if manifest.data.tokens else ""
    return f"{shape + ' on ' if shape else ''}{manifest.data.name}{tokens} · seed {manifest.seed}"
