"""Which memories still pass under noise and rounding."""

from typing import Any

import numpy as np

from trimtab.evidence import wilson_interval
from trimtab.records.memory_rows import RobustnessRow
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import plot
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.words import absent, percent, share_of, span
from trimtab.reports.style import BLUE, VIOLET

KEY, TITLE = "robustness", "Robustness"

ORDER = ("fp32", "bf16", "int8", "int4")
"""The precisions, the finest first."""

MARGIN_AT = 0.05
"""The noise level at which the pass rate is plotted by margin; if not recorded, the nearest level."""

GROUPS = 4

_RULE = "greedy decoding gives the target exactly when every target token has a margin above 0."


class Passing:
    """The share of memories that pass under one disturbance; a memory counts as the mean of its draws."""

    def __init__(self, rows: list[RobustnessRow]) -> None:
        draws: dict[str, list[bool]] = {}
        for row in rows:
            draws.setdefault(row.pair, []).append(row.passed)
        self.memories = len(draws)
        self.draws = len(rows)
        self.hits = float(sum(np.mean(own) for own in draws.values()))
        self.share = self.hits / self.memories
        # rounding may make the sum slightly larger than the number of memories
        self.low, self.high = wilson_interval(min(self.hits, self.memories), self.memories)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Cells of a table: share with counts, interval, draws."""
        return (
            f"{percent(self.share)} ({self.hits:.4g} of {self.memories:,})",
            span(self.low, self.high, shares=True),
            f"{self.draws:,}",
        )


def robustness(records: MemoryRecords) -> Section:
    """Pass rates under noise and rounding, and under noise by margin."""
    if not records.robustness:
        return absent(KEY, TITLE, "Robustness was not measured: there is no robustness.jsonl, or it is empty.")
    noise = {level: Passing(rows) for level, rows in sorted(_noise(records).items())}
    rounded = _rounded(records)
    blocks: list[Block] = [
        Text(
            "A memory passes when greedy decoding in both modes still reproduces both texts token for token, with the end token; "
            "equality after normalisation is not enough. Noise is Gaussian, with a norm given as a share of the vector's norm; "
            "int8 and int4 round each vector. Draws of one memory are not independent, so the 95% Wilson intervals count "
            "memories, each with the mean of its draws."
        ),
        Text(_checked(records.robustness)),
    ]
    if noise:
        groups = by_margin(records)
        at = min(noise, key=lambda level: abs(level - MARGIN_AT))
        blocks.append(Plots((_over_noise(noise), _over_margin(groups, at))))
    else:
        blocks.append(Text("Noise was not measured.", "missing"))
    rows = [(f"noise {percent(level)}", *passing.cells) for level, passing in noise.items()]
    rows += [(name, *passing.cells) for name, passing in rounded.items()]
    blocks.append(Table("Memories that pass", ("disturbance", "pass", "95% interval", "draws"), tuple(rows)))
    if noise:
        rows_by_margin = tuple((span(*ends), *passing.cells) for ends, passing in groups)
        blocks.append(
            Table(f"At {percent(at)} noise, by margin", ("margin", "pass", "95% interval", "draws"), rows_by_margin)
        )
    missing = [name for name in ORDER if name not in rounded]
    if missing:
        blocks.append(Text(f"Not measured: {', '.join(missing)}.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _checked(rows: list[RobustnessRow]) -> str:
    """How many rows were decided by a decode, and how often the margins disagree with it."""
    known = [(row, row.lowest) for row in rows if row.decoded and row.lowest is not None]
    if not known:
        return f"No variant (a memory under one draw of a disturbance) was decoded: {_RULE}"
    against = [abs(lowest) for row, lowest in known if row.passed != (lowest > 0)]
    sentence = (
        f"A variant (a memory under one draw of a disturbance) can be judged by its margins: {_RULE} {len(known):,} of "
        f"{len(rows):,} variants were also decoded: those with a smallest margin near 0, and a random sample as a check. "
    )
    if not against:
        return f"{sentence}All of these decodes agree with the margins."
    return (
        f"{sentence}{share_of(len(against), len(known))} of these decodes disagree with the margins. In those cases the decode "
        f"decides. The smallest margins of these variants are within {figure(max(against), 3)} logits of 0."
    )


def _noise(records: MemoryRecords) -> dict[float, list[RobustnessRow]]:
    by_level: dict[float, list[RobustnessRow]] = {}
    for row in records.robustness:
        if row.disturbance == "noise" and row.level is not None:
            by_level.setdefault(row.level, []).append(row)
    return by_level


def _rounded(records: MemoryRecords) -> dict[str, Passing]:
    by_kind: dict[str, list[RobustnessRow]] = {}
    for row in records.robustness:
        if row.disturbance != "noise":
            by_kind.setdefault(row.disturbance, []).append(row)
    return {name: Passing(by_kind[name]) for name in (*ORDER, *sorted(set(by_kind) - set(ORDER))) if name in by_kind}


def by_margin(records: MemoryRecords) -> list[tuple[tuple[float, float], Passing]]:
    """Memories under the noise nearest to `MARGIN_AT`, in equal groups by margin: the range of margins and the passes of each."""
    noise = _noise(records)
    rows = noise[min(noise, key=lambda level: abs(level - MARGIN_AT))]
    margins = {row.pair: row.margin for row in rows}
    ordered = sorted(margins, key=lambda pair: (margins[pair], pair))
    groups = np.array_split(np.arange(len(ordered)), min(GROUPS, len(ordered)))
    by_group = []
    for group in groups:
        own = [ordered[place] for place in group]
        ends = (margins[own[0]], margins[own[-1]])
        by_group.append((ends, Passing([row for row in rows if row.pair in set(own)])))
    return by_group


def _over_noise(noise: dict[float, Passing]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        _bars(axes, [100 * level for level in noise], list(noise.values()), BLUE, "o-")
        axes.set_xlim(0, 105 * max(noise) or 1.0)
        axes.set_xlabel("noise (% of the vector's norm)")

    summary = "; ".join(f"{percent(level)} noise: {percent(passing.share)}" for level, passing in noise.items())
    return plot("robustness-noise", "Memories that pass under noise", f"Share of memories that pass: {summary}.", draw)


def _over_margin(groups: list[tuple[tuple[float, float], Passing]], at: float) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        _bars(axes, [sum(ends) / 2 for ends, _ in groups], [passing for _, passing in groups], VIOLET, "s-")
        axes.set_xlabel("margin (logits), middle of the group")

    summary = "; ".join(f"margin {span(*ends)}: {percent(passing.share)}" for ends, passing in groups)
    caption = f"At {percent(at)} noise, by margin"
    return plot(
        "robustness-margin", caption, f"Share of memories that pass under {percent(at)} noise: {summary}.", draw
    )


def _bars(axes: Any, places: list[float], groups: list[Passing], colour: str, look: str) -> None:
    shares = [100 * one.share for one in groups]
    # The share is not the middle of a Wilson interval, and by rounding it may lie slightly outside; errorbar refuses negative
    # lengths.
    error = [
        [max(0.0, 100 * (one.share - one.low)) for one in groups],
        [max(0.0, 100 * (one.high - one.share)) for one in groups],
    ]
    axes.errorbar(places, shares, yerr=error, fmt=look, color=colour, ms=5, lw=1.6, capsize=3)
    axes.set_ylim(-4, 106)
    axes.set_ylabel("memories that pass (%)")
