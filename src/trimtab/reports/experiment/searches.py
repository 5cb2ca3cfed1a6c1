"""The searches of an experiment, by arm: best so far, what was found and what fresh seeds confirm, and cost."""

from pathlib import Path
from typing import Any

import numpy as np

from trimtab.records import RunDirectory, read_rows
from trimtab.records.search_rows import SearchRow
from trimtab.reports.blocks import Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, fit, legend, looks, plot
from trimtab.reports.experiment.differences import differences
from trimtab.reports.experiment.effects import spread
from trimtab.reports.experiment.episodes import EpisodeRecords
from trimtab.reports.experiment.factors import factors
from trimtab.reports.experiment.origin import comparisons, origin
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.experiment.stability import variance

KEY, TITLE = "searches", "Searches"
POINTS = 60
"""Places on the clock at which the best so far is compared."""


def searches(records: ExperimentRecords) -> Section:
    """Best so far over planned steps, and a table by arm."""
    ended = {arm: own for arm in records.arms if (own := [e for e in records.of(arm) if e.finished])}
    if not ended:
        return Section(KEY, TITLE, (Text("No search has ended yet.", "missing"),))
    first = next(iter(ended.values()))[0]
    assert first.summary is not None
    metric = str(first.summary.metrics["metric"])
    higher = (
        bool((first.manifest.model_extra or {})["metric"]["higher_is_better"]) if first.manifest is not None else False
    )
    text = (
        f"Means over an arm's searches ± standard deviation. Found: the best {metric} that a search saw. Confirmed: its settings "
        "on fresh seeds. Optimism: how much too good the found value was. Regret: the distance of the confirmed value from the "
        "best that any search with the same seed confirmed. Steps are those of the trials, without the confirmation."
    )
    return Section(
        KEY,
        TITLE,
        (
            Text(text),
            Plots((_best_so_far(records, ended, metric, higher=higher),)),
            _table(ended, metric, higher=higher),
        ),
    )


def _table(ended: dict[str, list[EpisodeRecords]], metric: str, *, higher: bool) -> Table:
    name = f"confirmed.{metric}"
    best: dict[tuple[int, tuple[Any, ...]], float] = {}
    for own in ended.values():
        for e in own:
            if (value := e.figures.get(name)) is not None:
                known = best.get((e.seed, e.cell), value)
                best[e.seed, e.cell] = max(known, value) if higher else min(known, value)
    columns = (
        "arm",
        "searches",
        "found",
        "confirmed",
        "regret",
        "optimism",
        "worst seed",
        "diverged",
        "steps",
        "decisions (s)",
    )
    rows = []
    for arm, own in ended.items():
        regrets = [abs(e.figures[name] - best[e.seed, e.cell]) for e in own if name in e.figures]
        cells = [_mean(own, key) for key in ("found", name)]
        cells += [spread(regrets) if regrets else figure(None)]
        cells += [_mean(own, key) for key in ("optimism", "confirmed.worst", "diverged", "steps", "decision_seconds")]
        rows.append((arm, str(len(own)), *cells))
    return Table("Searches by arm", columns, tuple(rows))


def _mean(own: list[EpisodeRecords], name: str) -> str:
    values = [e.figures[name] for e in own if name in e.figures]
    return spread(values) if values else figure(None)


def _best_so_far(
    records: ExperimentRecords, ended: dict[str, list[EpisodeRecords]], metric: str, *, higher: bool
) -> Plot:
    """The mean best so far of each arm, and the quartiles of its searches."""
    courses = {
        arm: [_course(e.run.path, higher=higher) for e in own if e.run is not None] for arm, own in ended.items()
    }
    last = max(clock for own in courses.values() for clocks, _ in own for clock in clocks)
    places = np.linspace(0, last, POINTS)
    by_arm = {arm: np.array([_at(clocks, best, places) for clocks, best in own]) for arm, own in courses.items()}

    def draw(figure: Any, axes: Any) -> None:
        styles, lines = looks(records.arms), []
        for arm, values in by_arm.items():
            known = ~np.isnan(values).any(axis=0)
            colour, dash = styles[arm].colour, styles[arm].dash
            low, high = np.quantile(values[:, known], [0.25, 0.75], axis=0)
            axes.fill_between(places[known], low, high, color=colour, alpha=0.15, lw=0)
            lines += axes.plot(places[known], values[:, known].mean(axis=0), color=colour, ls=dash, lw=2.0)
        late = [value for values in by_arm.values() for value in values[:, POINTS // 5 :].ravel()]
        fit(axes, late)
        axes.set_xlabel("planned steps of the search")
        axes.set_ylabel(f"best {metric} so far")
        legend(figure, lines, [drawable(arm, 20) for arm in by_arm])

    words = "; ".join(f"{arm} {figure(float(values[:, -1].mean()))}" for arm, values in by_arm.items())
    return plot(
        "searches-best-so-far",
        "The best single result that each search has seen: means and quartiles",
        f"At the end: {words}.",
        draw,
    )


def _course(folder: Path, *, higher: bool) -> tuple[list[float], list[float]]:
    """The clock and the best result so far, after every result of a search."""
    clocks, best = list[float](), list[float]()
    for row in read_rows(RunDirectory(folder).events_path, SearchRow):
        if row["kind"] != "result" or not np.isfinite(row["value"]):
            continue
        value = row["value"]
        clocks.append(row["clock"])
        best.append(value if not best else max(best[-1], value) if higher else min(best[-1], value))
    return clocks, best


def _at(clocks: list[float], best: list[float], places: np.ndarray) -> np.ndarray:
    """The best so far at places of the clock; NaN before the first result."""
    index = np.searchsorted(clocks, places, side="right") - 1
    return np.where(index >= 0, np.array([*best, np.nan])[index], np.nan)


SECTIONS = (differences, variance, searches, factors, comparisons, origin)
"""The sections of the report of an experiment whose episodes are searches."""
