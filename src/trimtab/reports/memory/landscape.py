"""The loss around the memories: along lines, in a plane, between two restarts, and the width of the basin."""

import math
from typing import Any

import numpy as np

from trimtab.records.memory_measurements import LandscapeRecord, LossLine, LossPath, LossPlane
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import legend, plot
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.words import absent, finite, percent, quantile
from trimtab.reports.style import BLUE, INK, ORANGE, VIOLET

KEY, TITLE = "landscape", "Loss landscape"


def landscape(records: MemoryRecords) -> Section:
    """Plots and tables of the measurements in `landscape.json`."""
    record = records.landscape
    if record is None:
        return absent(KEY, TITLE, "The loss around the memories was not measured: there is no landscape.json.")
    plots = [
        *([_lines(record.lines)] if record.lines else []),
        *([_plane(record.plane)] if record.plane is not None else []),
        *([_paths(record.paths)] if record.paths else []),
    ]
    about = (
        "Offsets are shares of the memory's norm, along random directions or along the gradient. Between two restarts "
        "of one pair the loss is measured on the straight line; the barrier is the highest loss on it minus the higher of its "
        "two ends. A barrier near 0 means that both lie in one basin."
    )
    blocks: list[Block] = [Text(about)]
    if plots:
        blocks.append(Plots(tuple(plots)))
    blocks += [_barriers(record.paths)] if record.paths else []
    blocks += [Text(_width_definition(record)), _widths(record)] if record.widths else []
    measured = {
        "lines": record.lines,
        "a plane": record.plane,
        "paths between restarts": record.paths,
        "the width of the basin": record.widths,
    }
    lacking = [name for name, values in measured.items() if not values]
    if lacking:
        blocks.append(Text(f"Not measured: {', '.join(lacking)}.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _lines(lines: list[LossLine]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        handles: dict[str, Any] = {}
        for line in lines:
            for name, colour, dash in (("question", BLUE, "-"), ("answer", ORANGE, (0, (4, 1.5)))):
                drawn = axes.plot(line.offsets, getattr(line, name), color=colour, ls=dash, lw=1.0, alpha=0.7)
                handles.setdefault(name, drawn[0])
        axes.axvline(0.0, color=INK, lw=0.8)
        axes.set_xlabel("offset (share of the norm)")
        axes.set_ylabel("loss (nats per token)")
        legend(figure, list(handles.values()), list(handles))

    memories = len({line.pair for line in lines})
    highest = max(
        finite([*(v for one in lines for v in one.question), *(v for one in lines for v in one.answer)]), default=None
    )
    description = (
        f"Losses along {len(lines)} directions through {memories} memories; the highest is {figure(highest, 3)}."
    )
    return plot("landscape-lines", "Loss along lines through the memories", description, draw)


def _plane(plane: LossPlane) -> Plot:
    loss = np.array(plane.loss, dtype=np.float64)

    def draw(figure: Any, axes: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        shown = np.ma.masked_invalid(loss)
        axes.grid(visible=False)
        if shown.count() and np.ptp(shown.compressed()) > 0:
            lines = axes.contour(plane.offsets, plane.offsets, shown, levels=9, colors=BLUE, linewidths=1.2)
            axes.clabel(lines, fontsize=8.5, fmt="%.2g", colors=INK)
        axes.plot([0.0], [0.0], "+", color=INK, ms=10, mew=1.6)
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel("offset along one direction")
        axes.set_ylabel("along another")

    known = finite(loss.ravel())
    summary = f"from {min(known):.3g} to {max(known):.3g} nats per token" if known else "nowhere finite"
    description = f"Loss of {plane.pair} in a plane of two random directions, the memory in the middle: {summary}."
    return plot("landscape-plane", f"Loss in a plane through {plane.pair}", description, draw, height=4.2)


def _paths(paths: list[LossPath]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        for path in paths:
            axes.plot(path.positions, path.loss, color=VIOLET, lw=1.2, alpha=0.8)
        axes.set_xlabel("from one restart (0) to another (1)")
        axes.set_ylabel("loss (nats per token)")

    highest = max(finite(barrier(path) for path in paths), default=None)
    summary = f"the highest barrier of {len(paths)} is {figure(highest, 3)}"
    description = f"Loss on the straight line between two restarts of one pair; {summary}."
    return plot("landscape-paths", "Between two restarts of one pair", description, draw)


def barrier(path: LossPath) -> float:
    """The highest loss on the path minus the higher of its two ends."""
    return max(path.loss) - max(path.loss[0], path.loss[-1])


def _barriers(paths: list[LossPath]) -> Table:
    rows = tuple(
        (path.pair, f"{path.restarts[0] + 1} and {path.restarts[1] + 1}", *(figure(v, 3) for v in (path.loss[0], path.loss[-1])),
         figure(barrier(path), 3))
        for path in paths
    )  # fmt: skip
    columns = ("pair", "restarts", "loss at one end", "loss at the other", "barrier")
    return Table("Barriers between restarts", columns, rows, folded=len(rows) > 8)


def _width_definition(record: LandscapeRecord) -> str:
    """The definition of a basin's width."""
    about = "The width of the basin is the distance at which the loss, averaged over both sides and the random directions, is"
    if record.rise is None:
        return f"{about} above the memory's own by a threshold that was not recorded."
    return (
        f"{about} {figure(record.rise, 3)} nats per token above the memory's own; the geometric mean of the token "
        f"probabilities is then {figure(math.exp(-record.rise), 3)} times as large. Distances are shares of the memory's norm."
    )


def _widths(record: LandscapeRecord) -> Table:
    widths = finite(one.width for one in record.widths)
    never = len(record.widths) - len(widths)
    quantiles = (percent(quantile(widths, level)) for level in (0.0, 0.25, 0.5, 0.75, 1.0))
    columns = ("memories", "smallest", "25%", "median", "75%", "largest", "not reached")
    return Table("Width of the basin", columns, ((str(len(record.widths)), *quantiles, str(never)),))
