"""The memory runs of an experiment, by arm: pairs solved, decoded and recalled under noise, and their cost."""

from typing import Any

import numpy as np

from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, legend, looks, plot
from trimtab.reports.experiment.differences import differences
from trimtab.reports.experiment.effects import spread
from trimtab.reports.experiment.episodes import EpisodeRecords
from trimtab.reports.experiment.factors import factors
from trimtab.reports.experiment.origin import comparisons, origin
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.experiment.stability import variance

KEY, TITLE = "memories", "Memories"
NOISE = "recalled.noise_"


def memories(records: ExperimentRecords) -> Section:
    """A table of shares and steps by arm, and a plot of the share recalled under noise."""
    ended = {arm: own for arm in records.arms if (own := [e for e in records.of(arm) if e.finished])}
    if not ended:
        return Section(KEY, TITLE, (Text("No memory run has ended yet.", "missing"),))
    about = (
        "Means over an arm's runs ± standard deviation. Every share is of all pairs of a run: an unsolved pair counts as not "
        "decoded and not recalled. Steps include those of failed candidates. Seconds are wall-clock time, which other work on "
        "the machine lengthens."
    )
    blocks: list[Block] = [Text(about)]
    levels = noise_levels(ended)
    if levels:
        blocks.append(Plots((_recalled(records, ended, levels),)))
    known = [
        metric for metric in records.explored if any(metric.name in e.figures for own in ended.values() for e in own)
    ]
    columns = ("arm", "runs", *(metric.title for metric in known), "seconds")
    rows = tuple(
        (arm, str(len(own)), *(_mean(own, metric.name) for metric in known), _seconds(own))
        for arm, own in ended.items()
    )  # fmt: skip
    return Section(KEY, TITLE, (*blocks, Table("Memory runs by arm", columns, rows)))


def noise_levels(ended: dict[str, list[EpisodeRecords]]) -> list[float]:
    """The noise levels at which recall was measured in any run, ascending."""
    names = {name for own in ended.values() for e in own for name in e.figures}
    return sorted(float(name.removeprefix(NOISE)) for name in names if name.startswith(NOISE))


def _mean(own: list[EpisodeRecords], name: str) -> str:
    values = [e.figures[name] for e in own if name in e.figures]
    return spread(values) if values else figure(None)


def _seconds(own: list[EpisodeRecords]) -> str:
    return spread([e.summary.seconds for e in own if e.summary is not None])


def _recalled(records: ExperimentRecords, ended: dict[str, list[EpisodeRecords]], levels: list[float]) -> Plot:
    by_arm = {
        arm: np.array([[e.figures.get(f"{NOISE}{level:g}", np.nan) for level in levels] for e in own])
        for arm, own in ended.items()
    }

    def draw(figure: Any, axes: Any) -> None:
        styles = looks(records.arms)
        places, lines = np.array(levels) * 100, []
        for arm, values in by_arm.items():
            colour, marker, dash = styles[arm].colour, styles[arm].marker, styles[arm].dash
            axes.plot(places, values.T, color=colour, ls=dash, lw=0.7, alpha=0.35)
            lines += axes.plot(places, np.nanmean(values, axis=0), color=colour, ls=dash, lw=2.2, marker=marker)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks(places)
        axes.set_xlabel("noise, % of each vector's norm")
        axes.set_ylabel("pairs recalled")
        legend(figure, lines, [drawable(arm, 20) for arm in by_arm])

    means = {arm: zip(levels, np.nanmean(values, axis=0), strict=True) for arm, values in by_arm.items()}
    summary = "; ".join(
        f"{arm} " + ", ".join(f"{mean:.3g} at {level:.0%}" for level, mean in own) for arm, own in means.items()
    )
    return plot(
        file_name("recalled"),
        "Pairs whose texts are both still decoded under noise; thin lines are runs, bold lines means",
        f"Share of pairs recalled: {summary}.",
        draw,
    )


SECTIONS = (differences, variance, factors, memories, comparisons, origin)
"""The sections of the report of an experiment whose episodes are memory runs."""
