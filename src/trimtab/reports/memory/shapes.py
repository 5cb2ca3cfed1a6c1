"""Loss curves by shape: counts and examples."""

import math
from collections import Counter
from typing import Any

from trimtab.boundary import counted
from trimtab.records.memory_rows import CandidateRow
from trimtab.reports.blocks import Block, Plot, Plots, Table, Text
from trimtab.reports.drawing import drawable, file_name, fit, legend, log_axis, plot, steps_axis
from trimtab.reports.memory.records import STAGES, MemoryRecords, Stage
from trimtab.reports.memory.words import share_of, spread
from trimtab.reports.style import BLUE, ORANGE

SHAPES = {
    "healthy": "healthy",
    "plateau": "plateau then drop",
    "oscillating": "oscillating",
    "flat": "flat",
    "diverging": "diverging",
}
"""The shapes of loss curves and their names in the report."""

SHOWN = 4
"""The largest number of curves drawn per shape."""


def shapes(records: MemoryRecords) -> list[Block]:
    """A table of counts by stage, and curves of the joint stage, or, if there is none, of the last stage that was run."""
    stages = list(records.stages.values())
    chosen = records.joint or stages[-1]
    order = [*SHAPES, *sorted({one.shape for stage in stages for one in stage.candidates} - set(SHAPES))]
    blocks: list[Block] = [_counts(stages, order)]
    plots = [drawn for shape in order if (drawn := _plot(chosen, shape)) is not None]
    if not plots:
        return [*blocks, Text("No candidate has a loss curve.", "missing")]
    about = (
        f"Loss curves of the stage '{STAGES[chosen.name]}': up to {SHOWN} per shape, evenly spaced over its candidates in the "
        "order in which they ended."
    )
    return [*blocks, Text(about), Plots(tuple(plots))]


def _counts(stages: list[Stage], order: list[str]) -> Table:
    rows = []
    for stage in stages:
        counts = Counter(one.shape for one in stage.candidates)
        rows.append((STAGES[stage.name], *(share_of(counts[shape], len(stage.candidates)) for shape in order)))
    columns = ("stage", *(SHAPES.get(shape, shape) for shape in order))
    return Table("Candidates by the shape of their loss curve", columns, tuple(rows))


def curve(candidate: CandidateRow, side: str) -> list[tuple[int, float]]:
    """Steps and losses of one side, where the loss is a number."""
    points = ((step, question if side == "question" else answer) for step, question, answer in candidate.curve)
    return [(step, value) for step, value in points if value is not None and math.isfinite(value)]


def _plot(stage: Stage, shape: str) -> Plot | None:
    own = [one for one in stage.candidates if one.shape == shape]
    shown: list[CandidateRow] = spread([one for one in own if len(one.curve) > 1], SHOWN)
    if not shown:
        return None

    def draw(figure: Any, axes: Any) -> None:
        handles: dict[str, Any] = {}
        values: list[float] = []
        for one in shown:
            for side, colour, dash in (("question", BLUE, "-"), ("answer", ORANGE, (0, (4, 1.5)))):
                points = curve(one, side)
                if points:
                    line = axes.plot(*zip(*points, strict=True), color=colour, ls=dash, lw=1.2, alpha=0.85)
                    handles.setdefault(side, line[0])
                    values += [value for _, value in points]
        if values and min(values) > 0:
            log_axis(axes.yaxis, values)
        else:
            fit(axes, values)
        steps_axis(axes)
        axes.set_ylabel("loss (nats per token)")
        legend(figure, list(handles.values()), list(handles))

    name = SHAPES.get(shape, shape)
    curves = ", ".join(
        f"{one.pair} restart {one.restart + 1} ({one.status}, {counted(one.steps, 'step')})" for one in shown
    )
    return plot(
        file_name("curves", shape),
        f"{drawable(name)}: {len(shown)} of {len(own)}",
        f"Loss over steps of {len(shown)} of the {counted(len(own), 'candidate')} of shape '{name}': {curves}.",
        draw,
        height=2.7,
    )
