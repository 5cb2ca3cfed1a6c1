"""Which memories still pass after they were disturbed."""

from typing import Any

import numpy as np

from trimtab.evidence import wilson_interval
from trimtab.records.memory_rows import RobustnessRow
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import plot
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.words import absent, percent, share_of, span
from trimtab.reports.style import BLUE, VIOLET

KEY, TITLE = "robustness", "Robustness"

ORDER = ("fp32", "bf16", "int8", "int4")
"""The roundings, the finest first."""

MARGIN_AT = 0.05
"""The noise at which the pass rate is plotted over the margin; else the recorded level nearest to it."""

GROUPS = 4


class Passing:
    """Memories under one disturbance: the share that passes, each memory counted once as the mean of its draws."""

    def __init__(self, rows: list[RobustnessRow]) -> None:
        draws: dict[str, list[bool]] = {}
        for row in rows:
            draws.setdefault(row.pair, []).append(row.passed)
        self.memories = len(draws)
        self.draws = len(rows)
        self.hits = float(sum(np.mean(own) for own in draws.values()))
        self.share = self.hits / self.memories
        # rounding may carry a sum of means over their number
        self.low, self.high = wilson_interval(min(self.hits, self.memories), self.memories)

    @property
    def told(self) -> tuple[str, str, str]:
        """Share with counts, interval, draws."""
        return (
            f"{percent(self.share)} ({self.hits:.4g} of {self.memories:,})",
            span(self.low, self.high, shares=True),
            f"{self.draws:,}",
        )


def robustness(records: Records) -> Section:
    """Noise and rounding, and noise over the margin."""
    if not records.robustness:
        return absent(KEY, TITLE, "No memory was disturbed: there is no robustness.jsonl, or it is empty.")
    noise = {level: Passing(rows) for level, rows in sorted(_noise(records).items())}
    rounded = _rounded(records)
    blocks: list[Block] = [
        Text(
            "A memory passes when greedy decoding under both modes still says both texts token for token, the end token "
            "included; a text that is merely equal after normalisation does not pass. Noise is Gaussian, its norm a share of the "
            "vector's; int8 and int4 round each vector. Draws of one memory are not independent, so intervals (Wilson's, 95%) "
            "count memories, each with the mean of its draws."
        ),
        Text(_checked(records.robustness)),
    ]
    if noise:
        groups = by_margin(records)
        at = min(noise, key=lambda level: abs(level - MARGIN_AT))
        blocks.append(Plots((_over_noise(noise), _over_margin(groups, at))))
    else:
        blocks.append(Text("No noise was added.", "missing"))
    rows = [(f"noise {percent(level)}", *found.told) for level, found in noise.items()]
    rows += [(name, *found.told) for name, found in rounded.items()]
    blocks.append(Table("Memories that pass", ("disturbance", "pass", "95% interval", "draws"), tuple(rows)))
    if noise:
        told = tuple((span(*ends), *found.told) for ends, found in groups)
        blocks.append(
            Table(f"At {percent(at)} noise, by the margin", ("margin", "pass", "95% interval", "draws"), told)
        )
    missing = [name for name in ORDER if name not in rounded]
    if missing:
        blocks.append(Text(f"Not tried: {', '.join(missing)}.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _checked(rows: list[RobustnessRow]) -> str:
    """How many rows a decode decided, and how often it said otherwise than the margins would have."""
    known = [(row, row.lowest) for row in rows if row.decoded and row.lowest is not None]
    if not known:
        return "Of no variant is it recorded that it was decoded: passes are told by the margins of the target tokens."
    against = [abs(lowest) for row, lowest in known if row.passed != (lowest > 0)]
    told = (
        f"The margins of the target tokens tell whether a decode is exact. {len(known):,} of {len(rows):,} variants were "
        "decoded all the same: those of a smallest margin near 0, and drawn ones to check. "
    )
    if not against:
        return f"{told}No decode says otherwise than the margins."
    return (
        f"{told}{share_of(len(against), len(known))} of these decodes say otherwise than the margins, and count as decoded; "
        f"their smallest margins are within {figure(max(against), 3)} logits of 0."
    )


def _noise(records: Records) -> dict[float, list[RobustnessRow]]:
    found: dict[float, list[RobustnessRow]] = {}
    for row in records.robustness:
        if row.disturbance == "noise" and row.level is not None:
            found.setdefault(row.level, []).append(row)
    return found


def _rounded(records: Records) -> dict[str, Passing]:
    found: dict[str, list[RobustnessRow]] = {}
    for row in records.robustness:
        if row.disturbance != "noise":
            found.setdefault(row.disturbance, []).append(row)
    return {name: Passing(found[name]) for name in (*ORDER, *sorted(set(found) - set(ORDER))) if name in found}


def by_margin(records: Records) -> list[tuple[tuple[float, float], Passing]]:
    """The memories under the noise nearest to `MARGIN_AT` in groups of one size by their margin, with its least and largest."""
    noise = _noise(records)
    rows = noise[min(noise, key=lambda level: abs(level - MARGIN_AT))]
    margins = {row.pair: row.margin for row in rows}
    ordered = sorted(margins, key=lambda pair: (margins[pair], pair))
    groups = np.array_split(np.arange(len(ordered)), min(GROUPS, len(ordered)))
    found = []
    for group in groups:
        own = [ordered[place] for place in group]
        ends = (margins[own[0]], margins[own[-1]])
        found.append((ends, Passing([row for row in rows if row.pair in set(own)])))
    return found


def _over_noise(noise: dict[float, Passing]) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        _bars(axes, [100 * level for level in noise], list(noise.values()), BLUE, "o-")
        axes.set_xlim(0, 105 * max(noise) or 1.0)
        axes.set_xlabel("noise (% of the vector's norm)")

    told = "; ".join(f"{percent(level)} noise: {percent(found.share)}" for level, found in noise.items())
    return plot("robustness-noise", "Memories that pass under noise", f"Share of memories that pass: {told}.", draw)


def _over_margin(groups: list[tuple[tuple[float, float], Passing]], at: float) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        _bars(axes, [sum(ends) / 2 for ends, _ in groups], [found for _, found in groups], VIOLET, "s-")
        axes.set_xlabel("margin (logits), middle of each group")

    told = "; ".join(f"margin {span(*ends)}: {percent(found.share)}" for ends, found in groups)
    caption = f"At {percent(at)} noise, over the margin"
    return plot("robustness-margin", caption, f"Share of memories that pass under {percent(at)} noise: {told}.", draw)


def _bars(axes: Any, places: list[float], found: list[Passing], colour: str, look: str) -> None:
    shares = [100 * one.share for one in found]
    # Wilson's middle is not the share, and rounding may put an end on its other side
    error = [
        [max(0.0, 100 * (one.share - one.low)) for one in found],
        [max(0.0, 100 * (one.high - one.share)) for one in found],
    ]
    axes.errorbar(places, shares, yerr=error, fmt=look, color=colour, ms=5, lw=1.6, capsize=3)
    axes.set_ylim(-4, 106)
    axes.set_ylabel("memories that pass (%)")
