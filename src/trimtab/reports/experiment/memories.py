"""What the memory runs of an experiment solved, what their memories withstand, and what that cost, by arm."""

from typing import Any

import numpy as np

from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, legend, looks, plot
from trimtab.reports.experiment.differences import differences
from trimtab.reports.experiment.effects import spread
from trimtab.reports.experiment.episodes import Episode
from trimtab.reports.experiment.factors import factors
from trimtab.reports.experiment.origin import comparisons, origin
from trimtab.reports.experiment.records import Records
from trimtab.reports.experiment.stability import variance

KEY, TITLE = "memories", "Memories"
NOISE = "recalled.noise_"
_COLUMNS = {
    "joint.share": "solved",
    "joint.pair_steps": "steps a pair",
    "pass_fp32.share": "decoded, fp32",
    "pass_bf16.share": "decoded, bf16",
    "recalled.int8": "recalled, int8",
    "recalled.int4": "recalled, int4",
}


def memories(records: Records) -> Section:
    """Shares and steps by arm, and the share recalled over the noise."""
    ended = {arm: own for arm in records.design.order if (own := [e for e in records.of(arm) if e.finished])}
    if not ended:
        return Section(KEY, TITLE, (Text("No memory run has ended yet.", "missing"),))
    about = (
        "Mean over an arm's runs ± standard deviation. Every share is of all pairs of a run: a pair that was not solved counts "
        "as not decoded and not recalled. Steps are those of all its candidates, the ones that failed included. Seconds are of "
        "the machine that ran them, with whatever else it did."
    )
    blocks: list[Block] = [Text(about)]
    levels = noise_levels(ended)
    if levels:
        blocks.append(Plots((_recalled(records, ended, levels),)))
    known = [name for name in _COLUMNS if any(name in e.figures for own in ended.values() for e in own)]
    columns = (
        "arm",
        "runs",
        *(_COLUMNS[name] for name in known),
        *(f"recalled, {level:.0%} noise" for level in levels),
        "seconds",
    )
    rows = tuple(
        (arm, str(len(own)), *(_mean(own, name) for name in (*known, *(f"{NOISE}{level:g}" for level in levels))), _seconds(own))
        for arm, own in ended.items()
    )  # fmt: skip
    return Section(KEY, TITLE, (*blocks, Table("Memory runs by arm", columns, rows)))


def noise_levels(ended: dict[str, list[Episode]]) -> list[float]:
    """The levels of noise that some run was measured at, in order."""
    names = {name for own in ended.values() for e in own for name in e.figures}
    found = {name.removeprefix(NOISE) for name in names if name.startswith(NOISE)}
    return sorted(map(float, found))


def _mean(own: list[Episode], name: str) -> str:
    values = [e.figures[name] for e in own if name in e.figures]
    return spread(values) if values else figure(None)


def _seconds(own: list[Episode]) -> str:
    return spread([e.summary.seconds for e in own if e.summary is not None])


def _recalled(records: Records, ended: dict[str, list[Episode]], levels: list[float]) -> Plot:
    found = {
        arm: np.array([[e.figures.get(f"{NOISE}{level:g}", np.nan) for level in levels] for e in own])
        for arm, own in ended.items()
    }

    def draw(figure: Any, axes: Any) -> None:
        styles = looks(records.design.order)
        places, lines = np.array(levels) * 100, []
        for arm, values in found.items():
            colour, marker, dash = styles[arm].colour, styles[arm].marker, styles[arm].dash
            axes.plot(places, values.T, color=colour, ls=dash, lw=0.7, alpha=0.35)
            lines += axes.plot(places, np.nanmean(values, axis=0), color=colour, ls=dash, lw=2.2, marker=marker)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks(places)
        axes.set_xlabel("noise, % of each vector's norm")
        axes.set_ylabel("pairs recalled")
        legend(figure, lines, [drawable(arm, 20) for arm in found])

    means = {arm: zip(levels, np.nanmean(values, axis=0), strict=True) for arm, values in found.items()}
    told = "; ".join(
        f"{arm} " + ", ".join(f"{mean:.3g} at {level:.0%}" for level, mean in own) for arm, own in means.items()
    )
    return plot(
        file_name("recalled"),
        "Pairs of which both texts are still said under noise; thin lines are runs, bold ones means",
        f"Share of pairs recalled: {told}.",
        draw,
    )


SECTIONS = (differences, variance, factors, memories, comparisons, origin)
"""The report of an experiment whose episodes are memory runs."""
