"""The effect of the number of vectors, paraphrases, the learning rate and the model."""

import math
from collections.abc import Sequence
from typing import Any

from trimtab.records.memory_rows import AblationCell, AblationsRecord
from trimtab.records.values import is_number
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, log_axis, plot
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.words import absent, percent, share_of, span
from trimtab.reports.style import BLUE, INK

KEY, TITLE = "ablations", "Ablations"

NAMES = {
    "vectors": "vectors per memory (K)",
    "paraphrases": "paraphrases",
    "learning_rate": "learning rate",
    "model": "model",
}
"""The ablations, in order, and their names in the report."""

LEVELS = {"0.5": 0.5, "0.95": 0.95}
"""Shares of solved pairs for which the smallest sufficient K is reported."""


def ablations(records: MemoryRecords) -> Section:
    """A table per ablation, and plots of the sweeps over K and the learning rate."""
    record = records.ablations
    if record is None:
        ended = f" {len(records.cells)} cells have candidates." if records.cells else ""
        return absent(KEY, TITLE, f"No ablation has ended: there is no ablations.json.{ended}")
    blocks: list[Block] = [
        Text(
            "Pairs solved by the strict criterion; the vectors are not decoded. Each 95% Wilson interval is for its cell alone: "
            "with many cells some miss the true share, so a difference between cells is an estimate, not a verdict."
        )
    ]
    order = [*NAMES, *sorted({cell.ablation for cell in record.cells} - set(NAMES))]
    for name in order:
        cells = [cell for cell in record.cells if cell.ablation == name]
        title = NAMES.get(name, name.replace("_", " "))
        if not cells:
            blocks.append(Text(f"{title[0].upper()}{title[1:]}: this ablation was not run.", "missing"))
            continue
        cells = sorted(cells, key=lambda cell: cell.value) if all(is_number(cell.value) for cell in cells) else cells
        if name == "vectors":
            blocks.append(Text(_thresholds(record)))
        if name in ("vectors", "learning_rate") and all(is_number(cell.value) for cell in cells) and len(cells) > 1:
            blocks.append(Plots((_share(name, title, cells), _steps(name, title, cells))))
        blocks.append(_table(title, cells))
    return Section(KEY, TITLE, tuple(blocks))


def _thresholds(record: AblationsRecord) -> str:
    levels = []
    for key, level in LEVELS.items():
        least = record.k_thresholds.get(key)
        levels.append(f"{percent(level)} from K = {least}" if least is not None else f"{percent(level)} from none")
    return f"The smallest K from which on every K tried solves that share of the pairs: {', '.join(levels)}."


def _table(title: str, cells: Sequence[AblationCell]) -> Table:
    rows = tuple(
        (
            _value(cell.value),
            share_of(cell.solved, cell.pairs),
            span(cell.low, cell.high, shares=True),
            figure(cell.mean_steps, 3),
            figure(cell.mean_loss_ratio, 3),
            figure(cell.seconds, 3),
        )
        for cell in cells
    )
    columns = ("value", "pairs solved", "95% interval", "mean steps", "mean loss ratio", "seconds")
    return Table(title[0].upper() + title[1:], columns, rows)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return repr(value) if is_number(value) else str(value)


def _share(name: str, title: str, cells: Sequence[AblationCell]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        values, shares = [cell.value for cell in cells], [100 * cell.share for cell in cells]
        # the interval may miss the share by rounding
        error = [
            [max(0.0, 100 * (cell.share - cell.low)) for cell in cells],
            [max(0.0, 100 * (cell.high - cell.share)) for cell in cells],
        ]
        axes.errorbar(values, shares, yerr=error, fmt="o-", color=BLUE, ms=5, lw=1.6, capsize=3)
        if name == "vectors":
            for level in LEVELS.values():
                axes.axhline(100 * level, color=INK, lw=1.0, ls=(0, (4, 2)))
        _values_axis(axes, values, title)
        axes.set_ylim(-4, 106)
        axes.set_ylabel("pairs solved (%)")

    summary = "; ".join(
        f"{_value(cell.value)}: {percent(cell.share)} ({span(cell.low, cell.high, shares=True)})" for cell in cells
    )
    return plot(
        file_name("ablation", name, "share"),
        f"Pairs solved over {title}",
        f"Share of pairs solved over {title}: {summary}.",
        draw,
    )


def _steps(name: str, title: str, cells: Sequence[AblationCell]) -> Plot:
    known = [
        (cell.value, cell.mean_steps)
        for cell in cells
        if cell.mean_steps is not None and math.isfinite(cell.mean_steps)
    ]

    def draw(figure: Any, axes: Any) -> None:
        if known:
            axes.plot(*zip(*known, strict=True), "o-", color=BLUE, ms=5, lw=1.6)
            axes.set_ylim(0, 1.1 * max(steps for _, steps in known) or 1.0)
        else:
            axes.text(0.5, 0.5, "no pair was solved", transform=axes.transAxes, ha="center")
        _values_axis(axes, [cell.value for cell in cells], title)
        axes.set_ylabel("mean steps")

    summary = "; ".join(f"{_value(value)}: {steps:.3g}" for value, steps in known)
    return plot(
        file_name("ablation", name, "steps"), f"Mean steps over {title}", f"Mean steps over {title}: {summary}.", draw
    )


def _values_axis(axes: Any, values: Sequence[float], title: str) -> None:
    from matplotlib.ticker import FixedLocator

    if min(values) > 0:
        log_axis(axes.xaxis, values)
    if len(values) <= 9:
        axes.xaxis.set_major_locator(FixedLocator(values))
    axes.minorticks_off()
    axes.set_xlabel(drawable(title, 40))
