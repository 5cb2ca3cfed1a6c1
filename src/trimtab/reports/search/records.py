"""Everything that the report of a search is drawn from, read once from its folder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trimtab.errors import RunError
from trimtab.records import Manifest, RunDirectory, Summary, read_rows
from trimtab.records.integrity import altered
from trimtab.records.search_rows import ConfirmationRow, ResultRow, SearchMetric, SearchRow, TrialRow
from trimtab.reports.reading import checked_rows
from trimtab.search import Choice, Number, Space
from trimtab.search.importance import FEWEST

KIND = "a search"


@dataclass(frozen=True)
class SearchRecords:
    """The records in a search's folder. `altered` has one phrase per file that was changed after the search wrote it."""

    folder: Path
    manifest: Manifest
    summary: Summary | None
    metric: SearchMetric
    works: dict[int, TrialRow]
    results: list[ResultRow]
    confirmations: list[ConfirmationRow]
    altered: list[str]

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config."""
        return self.manifest.config

    @cached_property
    def space(self) -> Space:
        """The search space."""
        parameters: dict[str, Number | Choice] = {}
        for key, given in self.config["space"].items():
            when = given["when"]
            if given["values"] is not None:
                parameters[key] = Choice(tuple(given["values"]), when)
            else:
                parameters[key] = Number(given["low"], given["high"], given["log"], given["whole"], when)
        return Space(parameters)

    @cached_property
    def values_at(self) -> dict[float, dict[int, float]]:
        """The value of each trial, its mean over the seeds, by the step at which it was measured (infinite: the end of a run)."""
        last: dict[float, dict[int, dict[int, float]]] = {}
        for row in self.results:
            last.setdefault(self.end_of(row), {}).setdefault(row.trial, {})[self.works[row.work].seed] = row.value
        return {
            end: {trial: sum(values.values()) / len(values) for trial, values in trials.items()}
            for end, trials in sorted(last.items())
        }

    @cached_property
    def compared_at(self) -> float:
        """The step at which trials are compared: the last one at which enough were measured, or else the one with the most."""
        enough = [end for end, trials in self.values_at.items() if len(trials) >= FEWEST]
        return enough[-1] if enough else max(self.values_at, key=lambda end: len(self.values_at[end]))

    @property
    def whole(self) -> dict[int, float]:
        """The values that are compared with each other."""
        return self.values_at[self.compared_at] if self.results else {}

    @property
    def where(self) -> str:
        """Where these values were measured, in words."""
        end = self.compared_at
        return "at the end of its run" if math.isinf(end) else f"at step {end:g}"

    def end_of(self, row: ResultRow) -> float:
        """The step at which a result was measured; infinite for the end of a run."""
        end = self.works[row.work].end
        return math.inf if end is None or end >= self.config["run"]["episode"]["steps"] else end

    @cached_property
    def settings(self) -> dict[int, Mapping[str, Any]]:
        """The settings of each trial."""
        return {row.trial: row.settings for row in self.works.values()}

    def better(self, one: float, other: float) -> bool:
        """Whether a value is better than another."""
        return one > other if self.metric.higher_is_better else one < other

    @property
    def status(self) -> str:
        """The status of the search, in words."""
        return "not ended: running, or killed" if self.summary is None else self.summary.status

    @property
    def metrics(self) -> Mapping[str, Any] | None:
        """The metrics of a finished search."""
        return self.summary.metrics if self.summary is not None and self.summary.status == "completed" else None


def read_records(folder: Path) -> SearchRecords:
    """Read a search's folder. Raises `RunError`, in one paragraph, where it is damaged or another kind of folder."""
    run = RunDirectory(folder)
    manifest, summary = run.manifest(), run.summary()
    if manifest.kind != "search":
        raise RunError(f"{folder} holds a run of the kind '{manifest.kind}', not {KIND}.")
    rows = read_rows(run.events_path, SearchRow) if run.events_path.exists() else []
    path = run.events_path

    def of(kind: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["kind"] == kind]

    works = {row.work: row for row in checked_rows(TrialRow, of("trial"), path)}
    results = checked_rows(ResultRow, of("result"), path)
    if missing := [row.work for row in results if row.work not in works]:
        raise RunError(f"{path} is damaged: there is a result of work {missing[0]}, which was never given out.")
    return SearchRecords(
        folder=folder,
        manifest=manifest,
        summary=summary,
        metric=checked_rows(SearchMetric, [(manifest.model_extra or {}).get("metric")], run.manifest_path)[0],
        works=works,
        results=results,
        confirmations=checked_rows(ConfirmationRow, of("confirmation"), path),
        altered=altered(folder, summary),
    )
