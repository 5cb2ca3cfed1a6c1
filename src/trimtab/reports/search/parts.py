"""Searches whose runs pause: rungs, and the lineages of a population."""

from typing import Any

from trimtab.boundary import counted
from trimtab.reports.blocks import Plots, Section, Table, Text, figure
from trimtab.reports.drawing import fit, log_axis, plot, steps_axis
from trimtab.reports.search.records import SearchRecords
from trimtab.reports.style import BLUE, INK, ORANGE
from trimtab.search.scheduler import described


def rungs(records: SearchRecords) -> Section | None:
    """Which runs went on, and how far."""
    if records.config["scheduler"]["name"] != "rungs" or not records.results:
        return None
    curves = _curves(records)
    ends = sorted({end for curve in curves.values() for end, _ in curve})
    last = ends[-1]

    def draw(_: Any, axes: Any) -> None:
        for curve in curves.values():
            steps, values = zip(*curve, strict=True)
            reached = steps[-1] == last
            axes.plot(
                steps, values, "o-", color=ORANGE if reached else BLUE, ms=4, lw=1.4, alpha=0.9 if reached else 0.45
            )
        log_axis(axes.xaxis, [float(end) for end in ends])
        fit(axes, [value for curve in curves.values() for _, value in curve])
        axes.set_xlabel("step")
        axes.set_ylabel(records.metric.name)

    counts = [sum(any(end == rung for end, _ in curve) for curve in curves.values()) for rung in ends]
    words = ", ".join(f"{count} at step {rung}" for rung, count in zip(ends, counts, strict=True))
    drawn = plot("rungs", "Values at the pauses; runs that went to the end are orange", f"Runs: {words}.", draw)
    probed = records.config.get("probe")
    how = (
        f" Each value at a pause is that of a fork whose rate falls to 0 within {counted(probed['steps'], 'step')}."
        if probed
        else ""
    )
    return Section("rungs", "Rungs", (Text(f"Runs that were evaluated at each rung: {words}.{how}"), Plots((drawn,))))


def _curves(records: SearchRecords) -> dict[int, list[tuple[int, float]]]:
    """By trial, the steps at which it was evaluated and its values there."""
    whole = int(records.config["run"]["episode"]["steps"])
    curves: dict[int, list[tuple[int, float]]] = {}
    for row in records.results:
        end = records.works[row.work].end
        curves.setdefault(row.trial, []).append((whole if end is None else end, row.value))
    return curves


def lineage(records: SearchRecords) -> Section | None:
    """Forks of a population, and how the best was trained."""
    if records.config["scheduler"]["name"] != "population" or not records.results:
        return None
    curves = _curves(records)
    parents = {row.trial: (row.parent, row.start) for row in records.works.values() if row.parent is not None}
    line = _ancestors(records, parents)

    def draw(_: Any, axes: Any) -> None:
        for trial, curve in curves.items():
            points = list(curve)
            if trial in parents:
                parent, start = parents[trial]
                points = [(end, value) for end, value in curves.get(parent, []) if end == start] + points
            steps, values = zip(*points, strict=True)
            mine = trial in line
            axes.plot(
                steps,
                values,
                "o-",
                color=ORANGE if mine else INK,
                ms=3.5,
                lw=2.0 if mine else 0.9,
                alpha=1.0 if mine else 0.5,
            )
        fit(axes, [value for curve in curves.values() for _, value in curve])
        steps_axis(axes)
        axes.set_ylabel(records.metric.name)

    drawn = plot(
        "lineages",
        "Members of the population; the line of the best is orange",
        f"{len(curves)} members, {len(parents)} of them forks; the line of the best: {', '.join(map(str, line))}.",
        draw,
    )
    rows = []
    for trial in line:
        end, value = curves[trial][-1]
        parent, start = parents.get(trial, (None, 0))
        rows.append(
            (
                str(trial),
                "new" if parent is None else f"fork of {parent}",
                f"{start} to {end}",
                figure(value),
                described(records.settings[trial]),
            )
        )
    table = Table(
        "How the best was trained",
        ("trial", "from", "steps", records.metric.name, "settings"),
        tuple(rows),
        frozenset({1, 4}),
    )
    return Section(
        "lineages", "Lineages", (Text(f"{counted(len(parents), 'fork')} replaced members."), Plots((drawn,)), table)
    )


def _ancestors(records: SearchRecords, parents: dict[int, tuple[int, int]]) -> list[int]:
    """The best trial and those that it descends from, the oldest first."""
    metrics = records.metrics
    if metrics is not None:
        trial: int = metrics["best"]["trial"]
    else:
        choose = max if records.metric.higher_is_better else min
        trial = choose(records.whole, key=lambda one: records.whole[one])
    line = [trial]
    while line[0] in parents:
        line.insert(0, parents[line[0]][0])
    return line
