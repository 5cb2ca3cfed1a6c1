"""The trials of a search: best so far, value by setting, importance, and a table."""

import math
from typing import Any

import numpy as np

from trimtab.config.describe import value_text
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, fit, log_axis, plot
from trimtab.reports.search.records import SearchRecords
from trimtab.reports.style import BLUE, INK, ORANGE
from trimtab.search import Choice
from trimtab.search.importance import FEWEST, importances

MOST_KEYS = 12
"""The most keys that are drawn; all are in the table."""


def best_so_far(records: SearchRecords) -> Plot:
    """The best value so far of the runs that went as far as any did, over the virtual clock."""
    clocks, best = [], list[float]()
    furthest = max(map(records.end_of, records.results))
    for row in records.results:
        if records.end_of(row) < furthest or not math.isfinite(row.value):
            continue
        value = row.value if not best or records.better(row.value, best[-1]) else best[-1]
        clocks.append(row.clock)
        best.append(value)

    def draw(_: Any, axes: Any) -> None:
        axes.step(clocks, best, where="post", color=INK, lw=2.0)
        fit(axes, best)
        axes.set_xlabel(f"planned steps, {records.config['parallel']} at a time")
        axes.set_ylabel(f"best {records.metric.name}")

    words = f"from {figure(best[0])} to {figure(best[-1])}" if best else "none"
    return plot("best-so-far", "The best single run so far", f"Best {records.metric.name} so far: {words}.", draw)


def scatters(records: SearchRecords) -> list[Plot]:
    """The value of each trial by setting, a plot per key; keys of no trial are left out."""
    values = {trial: value for trial, value in records.whole.items() if math.isfinite(value)}
    if len(values) < 2:
        return []
    best = (max if records.metric.higher_is_better else min)(values, key=lambda trial: values[trial])
    drawn = []
    for key in list(records.space.parameters)[:MOST_KEYS]:
        used = [trial for trial in values if key in records.settings[trial]]
        if used:
            drawn.append(_scatter(records, key, used, values, best))
    return drawn


def _scatter(records: SearchRecords, key: str, used: list[int], values: dict[int, float], best: int) -> Plot:
    parameter = records.space.parameters[key]
    settings = [records.settings[trial][key] for trial in used]
    y = [values[trial] for trial in used]
    if isinstance(parameter, Choice):
        places = [int(parameter.coordinate(value) * len(parameter.values)) for value in settings]
        x = [place + 0.3 * (((7 * trial) % 11) / 10 - 0.5) for place, trial in zip(places, used, strict=True)]
    else:
        x = [float(value) for value in settings]

    def draw(_: Any, axes: Any) -> None:
        axes.plot(x, y, "o", color=BLUE, ms=5, alpha=0.75, ls="none")
        if best in used:
            axes.plot([x[used.index(best)]], [y[used.index(best)]], "D", color=ORANGE, ms=8)
        if isinstance(parameter, Choice):
            names = [drawable(value_text(value), 14) for value in parameter.values]
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.6, len(names) - 0.4)
        elif parameter.log:
            log_axis(axes.xaxis, [parameter.low, parameter.high])
        fit(axes, y)
        axes.set_xlabel(drawable(key, 44))
        axes.set_ylabel(records.metric.name)

    where = value_text(records.settings[best][key]) if best in used else "without this key"
    text = f"{records.metric.name} of {len(used)} trials by {key}; the best trial: {where}."
    return plot(file_name("key", list(records.space.parameters).index(key), key), key, text, draw, height=2.6)


def importance(records: SearchRecords) -> Section | None:
    """How much of the differences each key explains alone."""
    trials = [trial for trial, value in records.whole.items() if not math.isnan(value)]
    sign = -1.0 if records.metric.higher_is_better else 1.0
    found = importances(
        records.space,
        [records.settings[trial] for trial in trials],
        [sign * records.whole[trial] for trial in trials],
        seed=records.manifest.seed,
    )
    title = "Importance of the keys"
    if not found:
        why = f"Fewer than {FEWEST} comparable trials used any key, so no importance is estimated."
        return Section("importance", title, (Text(why, "missing"),)) if records.results else None
    text = (
        f"Of {len(trials)} trials, each {records.where}. The share of the variance of the trials' ranks that a key explains "
        "alone, adjusted for chance, with a 90% bootstrap interval. What a key does only together with others is not in it, and "
        "a search that prefers some settings tells little about the rest."
    )
    names = [one.key for one in found][::-1]
    shares = np.array([one.share for one in found][::-1])
    lows, highs = (np.array([getattr(one, end) for one in found][::-1]) for end in ("low", "high"))

    def draw(_: Any, axes: Any) -> None:
        places = np.arange(len(names))
        axes.barh(places, shares, color=BLUE, alpha=0.75, height=0.6)
        axes.hlines(places, lows, highs, color=INK, lw=2.0)
        axes.set_yticks(places, [drawable(name, 26) for name in names])
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the variance of ranks")

    words = "; ".join(f"{one.key} {one.share:.2f} ({one.low:.2f} to {one.high:.2f})" for one in found)
    drawn = plot("importance", "Share explained by each key alone", f"{words}.", draw, height=1.0 + 0.4 * len(found))
    rows = tuple((one.key, f"{one.share:.2f}", f"{one.low:.2f} to {one.high:.2f}", str(one.trials)) for one in found)
    listed = Table("Importance", ("key", "share", "90% interval", "trials"), rows, folded=True)
    blocks: tuple[Block, ...] = (Text(text), Plots((drawn,)), listed)
    return Section("importance", title, blocks)


def table(records: SearchRecords) -> Table:
    """Every result, with the settings of its trial."""
    keys = list(records.space.parameters)
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    names = [name if short.count(name) == 1 else key for name, key in zip(short, keys, strict=True)]
    rows = []
    for row in records.results:
        work = records.works[row.work]
        settings = [value_text(work.settings[key]) if key in work.settings else "" for key in keys]
        part = f"{work.start} to {work.end}" if work.end is not None else "whole"
        rows.append((str(row.trial), str(work.seed), part, row.status, figure(row.value, 6), *settings))
    columns = ("trial", "seed", "steps", "status", records.metric.name, *names)
    return Table(
        "Results, in the order in which the search received them", columns, tuple(rows), frozenset({2, 3}), True
    )
