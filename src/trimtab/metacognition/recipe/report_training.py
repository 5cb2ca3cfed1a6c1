"""The sections of a thinking run's report that say how its layer learned and where its gate acts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.metacognition.recipe.stages import LAYER, THINK
from trimtab.records import RunDirectory
from trimtab.reports.blocks import Plots, Section, Text, figure
from trimtab.reports.drawing import plot
from trimtab.reports.style import BLUE, INK, MAGENTA, ORANGE, TEAL

_COLOURS = (BLUE, ORANGE, TEAL, MAGENTA, INK)
_MEAN_OVER = 20
"""Steps that a point of a curve is the mean of."""
_ROWS = 40
"""Problems in the heat map of the gate."""


def learning(folder: Path) -> Section | None:
    """What the layer decided over the steps of both training runs: shares of blocks, agreement, gate."""
    rows = [row for name in (THINK, LAYER) for row in _steps(folder / name)]
    if not rows:
        return None
    first = [row["step"] for row in _steps(folder / LAYER)][:1]
    blocks = sum(f"model.layer.{number}.alpha" in rows[-1]["aux"] for number in range(1, 1000))

    def shares(figure_: Any, axes: Any) -> None:
        curves = [_curve(rows, f"model.layer.{number}.alpha") for number in range(1, blocks + 1)]
        if blocks > len(_COLOURS):
            steps = curves[0][0]
            edges = [0.0, *steps]
            places = np.arange(blocks + 1) + 0.5
            cells = axes.pcolormesh(edges, places, np.array([values for _, values in curves]), cmap="viridis", vmin=0)
            figure_.colorbar(cells, ax=axes, label="share α")
            axes.set_xlabel("step")
            axes.set_ylabel("block")
            return
        for number, values in enumerate(curves, 1):
            axes.plot(*values, color=_COLOURS[number - 1], label=f"block {number}")
        axes.set_ylim(0, 1)
        _finish(axes, first, "share α")

    def agreement(_: Any, axes: Any) -> None:
        axes.plot(*_curve(rows, "model.plan_agreement"), color=BLUE, label="blocks with the common plan")
        axes.plot(*_curve(rows, "model.gate_coverage"), color=ORANGE, ls="--", label="thought tokens gated")
        axes.set_ylim(-0.02, 1.02)
        _finish(axes, first, "share")

    def sizes(_: Any, axes: Any) -> None:
        axes.plot(*_curve(rows, "model.gate_norm"), color=TEAL, label="gate: rms of γ - 1")
        axes.plot(*_curve(rows, "model.budget_variance"), color=MAGENTA, ls="--", label="variance of use over blocks")
        axes.set_ylim(bottom=0)
        _finish(axes, first, "")

    last = {number: rows[-1]["aux"].get(f"model.layer.{number}.alpha") for number in range(1, blocks + 1)}
    largest = sorted(last, key=lambda number: -(last[number] or 0.0))[: len(_COLOURS)]
    words = ", ".join(f"block {number} {figure(last[number], 3)}" for number in sorted(largest))
    drawn = [
        plot("agreement", "Agreement of the blocks on the plan, and reach of the gate", "Shares by step.", agreement),
        plot("gate_size", "Size of the gate, and spread of the blocks' predictions", "By step.", sizes),
    ]
    if blocks:
        drawn.insert(
            0, plot("alpha", "Share of each block in the decision", f"The largest at the last step: {words}.", shares)
        )
    text = (
        f"Means over {_MEAN_OVER} steps. At the dotted line the gate opens, and the layer learns on observed problems."
    )
    return Section("learning", "How the layer learned", (Text(text), Plots(tuple(drawn))))


def gate(rows: Sequence[dict[str, Any]]) -> Section | None:
    """A heat map: the strength of the gate at each token of a thought, for problems from short to long thoughts."""
    known = [row for row in rows if row.get("gate_norm") is not None and row["used"]]
    if not known or not any(row["gate_norm"] for row in known):
        return None
    known.sort(key=lambda row: (row["used"], row["item"]))
    shown = [known[int(place)] for place in np.linspace(0, len(known) - 1, min(_ROWS, len(known)))]
    table = np.full((len(shown), max(row["used"] for row in shown)), np.nan)
    for line, row in zip(table, shown, strict=True):
        line[: row["used"]] = row["gate_norm"]
    norms = np.array([row["gate_norm"] for row in known])
    lengths = np.array([row["used"] for row in known], dtype=float)
    varies = norms.std() > 0 and lengths.std() > 0
    r = float(np.corrcoef(norms, lengths)[0, 1]) if varies else None

    def draw(figure_: Any, axes: Any) -> None:
        cells = axes.pcolormesh(table, cmap="viridis", vmin=0)
        figure_.colorbar(cells, ax=axes, label="rms of γ - 1")
        axes.set_xlabel("token of the thought")
        axes.set_ylabel("problems, by length")

    caption = (
        f"Strength of the gate over the thought; its correlation with the length of the thought is {figure(r, 2)}."
    )
    drawn = plot("gate", "Where the gate acts", caption, draw, height=3.4)
    text = "The gate of a problem is decided before its thought and stays the same to its end. Prompt and answer have none."
    return Section("gate", "The gate over thinking time", (Text(text), Plots((drawn,))))


def _steps(folder: Path) -> list[dict[str, Any]]:
    run = RunDirectory(folder)
    return [row for row in run.steps() if "model.alpha_entropy" in row.get("aux", {})] if run.exists() else []


def _curve(rows: Sequence[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """The steps and means of a figure."""
    known = [(float(row["step"]), float(row["aux"][name])) for row in rows if name in row["aux"]]
    chunks = [known[start : start + _MEAN_OVER] for start in range(0, len(known), _MEAN_OVER)]
    return [chunk[-1][0] for chunk in chunks], [float(np.mean([value for _, value in chunk])) for chunk in chunks]


def _finish(axes: Any, first: Sequence[float], label: str) -> None:
    for step in first:
        axes.axvline(step, color=INK, ls=":", lw=1)
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.legend(fontsize=8.5)
