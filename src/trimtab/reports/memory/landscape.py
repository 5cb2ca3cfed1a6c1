"""The loss around the memories: lines, a plane, the way between two restarts, the basin's width."""

import math
from typing import Any

import numpy as np

from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import legend, plot
from trimtab.reports.memory.measures import Landscape, Line, Path, Plane
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.words import absent, finite, percent, quantile
from trimtab.reports.style import BLUE, INK, ORANGE, VIOLET

KEY, TITLE = "landscape", "Landscape"


def landscape(records: Records) -> Section:
    """What of it was measured."""
    found = records.landscape
    if found is None:
        return absent(KEY, TITLE, "The loss around the memories was not measured: there is no landscape.json.")
    plots = [
        *([_lines(found.lines)] if found.lines else []),
        *([_plane(found.plane)] if found.plane is not None else []),
        *([_paths(found.paths)] if found.paths else []),
    ]
    about = (
        "Offsets are shares of the memory's norm, along random directions or uphill along the gradient. The way between two "
        "restarts of one pair is straight; a barrier is the highest loss on it above the higher of its ends: near 0, both lie "
        "in one basin."
    )
    blocks: list[Block] = [Text(about)]
    if plots:
        blocks.append(Plots(tuple(plots)))
    blocks += [_barriers(found.paths)] if found.paths else []
    blocks += [Text(_risen(found)), _widths(found)] if found.widths else []
    lacking = [name for name, there in (("lines", found.lines), ("a plane", found.plane), ("ways between restarts", found.paths),
                                        ("the basin's width", found.widths)) if not there]  # fmt: skip
    if lacking:
        blocks.append(Text(f"Not measured: {', '.join(lacking)}.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _lines(lines: list[Line]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        handles: dict[str, Any] = {}
        for line in lines:
            for name, colour, dash in (("question", BLUE, "-"), ("answer", ORANGE, (0, (4, 1.5)))):
                drawn = axes.plot(line.offsets, getattr(line, name), color=colour, ls=dash, lw=1.0, alpha=0.7)
                handles.setdefault(name, drawn[0])
        axes.axvline(0.0, color=INK, lw=0.8)
        axes.set_xlabel("offset (share of the norm)")
        axes.set_ylabel("loss (nats a token)")
        legend(figure, list(handles.values()), list(handles))

    memories = len({line.pair for line in lines})
    highest = max(
        finite([*(v for one in lines for v in one.question), *(v for one in lines for v in one.answer)]), default=None
    )
    description = (
        f"Losses along {len(lines)} directions through {memories} memories; the highest is {figure(highest, 3)}."
    )
    return plot("landscape-lines", "Loss along lines through the memories", description, draw)


def _plane(plane: Plane) -> Plot:
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
    told = f"from {min(known):.3g} to {max(known):.3g} nats a token" if known else "nowhere finite"
    description = f"Loss of {plane.pair} in a plane of two random directions, the memory in the middle: {told}."
    return plot("landscape-plane", f"Loss in a plane through {plane.pair}", description, draw, height=4.2)


def _paths(paths: list[Path]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        for path in paths:
            axes.plot(path.positions, path.loss, color=VIOLET, lw=1.2, alpha=0.8)
        axes.set_xlabel("from one restart (0) to another (1)")
        axes.set_ylabel("loss (nats a token)")

    highest = max(finite(barrier(path) for path in paths), default=None)
    told = f"the highest barrier of {len(paths)} is {figure(highest, 3)}"
    description = f"Loss on the straight way between two restarts of one pair; {told}."
    return plot("landscape-paths", "Between two restarts of one pair", description, draw)


def barrier(path: Path) -> float:
    """The highest loss on the way, above the higher of its ends."""
    return max(path.loss) - max(path.loss[0], path.loss[-1])


def _barriers(paths: list[Path]) -> Table:
    rows = tuple(
        (path.pair, f"{path.restarts[0] + 1} and {path.restarts[1] + 1}", *(figure(v, 3) for v in (path.loss[0], path.loss[-1])),
         figure(barrier(path), 3))
        for path in paths
    )  # fmt: skip
    columns = ("pair", "starts", "loss at one end", "at the other", "barrier")
    return Table("Barriers between restarts", columns, rows, folded=len(rows) > 8)


def _risen(found: Landscape) -> str:
    """What the width of a basin is."""
    about = "The basin's width is the distance at which the loss, in the mean of both sides and of the random directions, is"
    if found.rise is None:
        return f"{about} above that of the memory itself by a threshold that was not recorded."
    return (
        f"{about} {figure(found.rise, 3)} nats a token above that of the memory itself: a token's probability times "
        f"{figure(math.exp(-found.rise), 3)}, in the geometric mean. Distances are shares of the memory's norm."
    )


def _widths(found: Landscape) -> Table:
    widths = finite(one.width for one in found.widths)
    never = len(found.widths) - len(widths)
    told = (percent(quantile(widths, level)) for level in (0.0, 0.25, 0.5, 0.75, 1.0))
    columns = ("memories", "least", "a quarter", "half", "three quarters", "largest", "never above it")
    return Table("The basin's width", columns, ((str(len(found.widths)), *told, str(never)),))
