"""The sections of the report of a search, in order."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.boundary import counted
from trimtab.config.describe import value_text
from trimtab.config.yaml_file import dump_yaml
from trimtab.records.integrity import altered_warning
from trimtab.reports.blocks import Block, Code, Plot, Plots, Section, Table, Text, figure, signed
from trimtab.reports.drawing import fit, plot, steps_axis
from trimtab.reports.page import Report
from trimtab.reports.provenance import manifest_rows
from trimtab.reports.search.parts import lineage, rungs
from trimtab.reports.search.records import SearchRecords
from trimtab.reports.search.trials import best_so_far, importance, scatters, table
from trimtab.reports.style import BLUE, ORANGE


def compose(records: SearchRecords) -> Report:
    """Make the report from a search's records."""
    makers = (_result, _confirmation, _course, importance, _keys, rungs, lineage, _trials, _origin)
    sections = tuple(section for make in makers if (section := make(records)) is not None)
    optimizer, scheduler = (records.config[key]["name"] for key in ("optimizer", "scheduler"))
    chooser = optimizer if scheduler == "whole" else f"{optimizer}, {scheduler}"
    title = f"{chooser}: {counted(records.config['trials'], 'trial')} for a better {records.metric.name}"
    footer = "Made by Trimtab from the records in this folder: manifest.json, events.jsonl and summary.json."
    return Report("Search", title, sections, footer)


def _result(records: SearchRecords) -> Section:
    """What was found, and what it is worth on fresh seeds."""
    blocks: list[Block] = []
    if records.altered:
        blocks.append(Text(altered_warning("this folder", records.altered), "warning"))
    metrics, name = records.metrics, records.metric.name
    if metrics is None:
        ended = counted(len(records.results), "result")
        blocks.append(Text(f"The search has no result yet: it is {records.status}, with {ended}.", "missing"))
        return Section("result", "Result", tuple(blocks))
    best = metrics["best"]
    rows = [(key, value_text(value)) for key, value in best["settings"].items()]
    sentence = (
        f"Of {metrics['trials']} trials, trial {best['trial']} is the best: {name} {metrics['found']:.4f} in the search"
    )
    if "confirmed" in metrics:
        confirmed = metrics["confirmed"]
        count = len(confirmed["values"])
        sentence += f", {confirmed[name]:.4f} on {counted(count, 'fresh seed')}"
        if count > 1:
            sentence += f" (SD {confirmed['sd']:.4f}, worst {confirmed['worst']:.4f}, {confirmed['diverged']} diverged)"
    blocks += [Text(f"{sentence}."), Table("Its settings", ("key", "value"), tuple(rows), words=frozenset({0, 1}))]
    if "lineage" in best:
        blocks.append(Text("They are those at its end; the section on lineages says what came before.", "warning"))
    source = records.config.get("table")
    verb = "made" if source is None else f"took from the table {Path(source).name}"
    cost = (
        f"The search {verb} {counted(metrics['runs'], 'run')} with {metrics['steps']:,} steps and {metrics['tokens']:,} tokens, "
        f"{metrics['diverged']} of them diverged; its own decisions took {metrics['decision_seconds']:.2g} s."
    )
    return Section("result", "Result", (*blocks, Text(cost)))


def _confirmation(records: SearchRecords) -> Section | None:
    """Fresh seeds against what the search saw."""
    metrics = records.metrics
    if metrics is None or "confirmed" not in metrics:
        return None
    confirmed, name = metrics["confirmed"], records.metric.name
    values, found = list(confirmed["values"]), metrics["found"]
    if len(values) < 2:
        return None
    text = (
        f"Optimism: {signed(metrics['optimism'])}, by which the {name} found is better than the mean on fresh seeds. If all the "
        "trials that were compared were equally good, noise alone would give "
        f"{figure(metrics['expected_optimism'])}, estimated from the standard deviation over the fresh seeds, if "
        "the noise of the trials is independent."
    )

    def draw(_: Any, axes: Any) -> None:
        axes.plot(values, np.zeros(len(values)), "o", color=BLUE, ms=7, alpha=0.8, ls="none")
        axes.plot([confirmed[name]], [0], "|", color=BLUE, ms=26, mew=2)
        axes.plot([found], [1], "D", color=ORANGE, ms=8)
        axes.set_yticks([0, 1], ["fresh seeds", "in the search"])
        axes.set_ylim(-0.6, 1.6)
        axes.set_xlabel(name)

    drawn = plot(
        "confirmation",
        "The best settings on fresh seeds, their mean (bar), and in the search",
        f"{name} on fresh seeds: {', '.join(figure(value) for value in values)}, mean {figure(confirmed[name])}; in the search "
        f"{figure(found)}.",
        draw,
        height=2.0,
    )
    return Section("confirmation", "Confirmation", (Text(text), Plots((drawn,))))


def _course(records: SearchRecords) -> Section | None:
    """Best so far and every trial, over the planned steps."""
    if not records.results:
        return None
    return Section("course", "Course of the search", (Plots((best_so_far(records), *_by_status(records))),))


def _by_status(records: SearchRecords) -> list[Plot]:
    """The values in the order of the trials, diverged ones marked."""
    rows = records.results
    diverged = np.array([row.status == "diverged" for row in rows])
    trials, values = np.array([row.trial for row in rows]), np.array([row.value for row in rows])

    def draw(_: Any, axes: Any) -> None:
        axes.plot(trials[~diverged], values[~diverged], "o", color=BLUE, ms=4.5, alpha=0.75, ls="none")
        if diverged.any():
            axes.plot(trials[diverged], values[diverged], "x", color=ORANGE, ms=7, ls="none", label="diverged")
            axes.legend(fontsize=9.0)
        fit(axes, values.tolist())
        steps_axis(axes)
        axes.set_xlabel("trial")
        axes.set_ylabel(records.metric.name)

    words = f"{len(rows)} results from {figure(float(np.nanmin(values)))} to {figure(float(np.nanmax(values)))}"
    return [plot("results", "Every result, by trial", f"{words}, {int(diverged.sum())} diverged.", draw)]


def _keys(records: SearchRecords) -> Section | None:
    drawn = scatters(records)
    if not drawn:
        return None
    text = f"Each point is a trial {records.where}; the best there is the diamond. Choices are spread sideways."
    return Section("keys", "Settings", (Text(text), Plots(tuple(drawn))))


def _trials(records: SearchRecords) -> Section | None:
    return Section("trials", "Trials", (table(records),)) if records.results else None


def _origin(records: SearchRecords) -> Section:
    """Manifest, command and config."""
    manifest = records.manifest
    blocks: list[Block] = []
    if manifest.command:
        blocks += [Text("It was started with:"), Code(shlex.join(manifest.command))]
    rows = manifest_rows(manifest, records.status)
    blocks.append(Table("Manifest", ("what", "recorded"), rows, words=frozenset({0, 1}), folded=True))
    text = dump_yaml(records.config, default_flow_style=None, width=100)
    return Section("origin", "Provenance", (*blocks, Text("Its config:"), Code(text.rstrip(), "yaml")))
