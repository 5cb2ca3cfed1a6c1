"""Running a search in a folder: start, continue, or find it finished."""

import math
import statistics
import time
from pathlib import Path
from typing import Any

from trimtab.config import RunError, WorkError, allowing_code
from trimtab.config.permission import dotted_paths, hub_ids
from trimtab.experiments.executor import OnJobEvent, Result, find_executor, run_jobs
from trimtab.experiments.jobs import Job
from trimtab.experiments.progress import RunOptions
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.drive import Search
from trimtab.experiments.searching.kind import SEARCH
from trimtab.experiments.searching.log import SearchLog
from trimtab.experiments.searching.metrics import headline
from trimtab.experiments.searching.parts import metric_of
from trimtab.experiments.searching.recorded import conditions_of_table, with_table
from trimtab.records import (
    RunDirectory,
    Summary,
    clean_leftovers,
    peak_rss_mb,
    refuse_changes,
    to_json,
)
from trimtab.records.hashing import seal_of
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import RUN, Ended, Message, Nested, Progress, RunEvent, Stage, Started
from trimtab.search.optimism import expected_optimism
from trimtab.training.runs.assembly import on_this_machine
from trimtab.training.runs.conditions import conditions_now
from trimtab.training.runs.outer import outer_changes, outer_manifest


def run_episode(config: SearchConfig, out: Path, context: RunContext) -> dict[str, Any]:
    """Run, continue or reuse a search as an episode of an experiment, one run at a time in this process."""
    options = RunOptions(stop=context.stop, events=context.events, command=context.command)
    result = run_search(config, out, options)
    return {"status": result["status"], "reused": result["reused"]}


def run_search(config: SearchConfig, out: Path | str, options: RunOptions = RunOptions()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Run a resolved search into `out`, continue the one there, or find it finished; returns status, metrics and folder.

    The search's `events.jsonl` is what it continues from: it is repeated, with recorded results instead of runs, and every
    row must be the recorded one. The number of workers and the executor change nothing but the time. Raises `RunError` when
    `out` holds something else, or when config, data, code or numeric environment have changed, and `WorkError` when a run
    failed.
    """
    run = RunDirectory(out)
    config = with_table(config)
    config = config.model_copy(update={"run": on_this_machine(config.run)})
    find_executor(options.executor_name)
    named = config.model_dump()
    with allowing_code(names=[*dotted_paths(named), *hub_ids(named)]):
        conditions = conditions_of_table(config) or conditions_now(config.run, options.events)
        new = not run.exists()
        if new:
            run.check_free()
        with run.create() if new else run.lock():
            if new:
                outer_manifest(
                    SEARCH.name,
                    config,
                    conditions,
                    config.run.data.name if config.table is None else "table",
                    options.command,
                    metric={"name": config.metric, "higher_is_better": metric_of(config).higher_is_better},
                ).write(run.manifest_path)
            else:
                clean_leftovers(run.path)
                manifest = run.manifest()
                if manifest.kind != SEARCH.name:
                    raise RunError(
                        f"{run.path} holds a run of the kind '{manifest.kind}', not a search. Choose another --out."
                    )
                changes = outer_changes(manifest, config, conditions)
                refuse_changes(
                    run.path,
                    changes,
                    "Its results would be mixed with those of another search.",
                    "choose another --out",
                )
            if (summary := run.summary()) is not None and summary.status == "completed":
                return _result(run, summary, options, reused=True)
            run.clear_summary()
            return _search(config, run, options)


def _search(config: SearchConfig, run: RunDirectory, options: RunOptions) -> dict[str, Any]:
    began = time.perf_counter()
    log = SearchLog(run.events_path)
    progress = _Progress(config, run, options)
    try:
        search = Search(config, run.path, log, progress.on_row)
        progress.begin(search)
        make = find_executor(options.executor_name)
        slots = max(1, min(options.workers, max(config.parallel, config.confirm.seeds)))
        trains = options.workers and config.table is None
        executor = make(slots if trains else 0, run.path / "workers.log", progress.on_job_event)

        def on_result(job: Job, result: Result) -> None:
            search.on_result(job, result)
            progress.on_result(job, result)

        run_jobs(search, executor, on_result, options.stop)
    finally:
        log.close()
    if search.error is not None:
        raise WorkError(
            f"The search in {run.path} stopped, because {search.error} What it has done is kept: the same command continues it."
        )
    Summary(
        status="completed" if search.complete else "interrupted",
        steps=search.totals.steps,
        metrics=figures(search) if search.complete else {},
        weights_sha256=search.weights[search.best.trial] if search.complete else None,
        tokens_per_second=None,
        seconds=time.perf_counter() - began,
        peak_rss_mb=peak_rss_mb(),
        records={path.name: seal_of(path) for path in (run.manifest_path, run.events_path)},
    ).write(run.summary_path)
    summary = run.summary()
    assert summary is not None
    return _result(run, summary, options)


def figures(search: Search) -> dict[str, Any]:
    """The metrics of a finished search."""
    best, totals, sign = search.best, search.totals, -1.0 if search.metric.higher_is_better else 1.0
    found, metric = sign * best.value, search.metric.name
    outcomes = [search.confirmed[seed] for seed in sorted(search.confirmed)]
    result: dict[str, Any] = {
        "metric": metric,
        "found": found,
        "anytime": totals.anytime(search.clock.now),
        "trials": len(totals.trials),
        "runs": len(totals.runs),
        "diverged": len(totals.diverged),
        "steps": totals.steps,
        "tokens": totals.tokens,
        "decision_seconds": search.decision_seconds,
        "best": {"trial": best.trial, "runs": best.runs, "settings": best.settings},
    }
    if len(best.lineage) > 1:
        result["best"]["lineage"] = [{"settings": settings, "until": until} for settings, until in best.lineage]
    if outcomes:
        values = [outcome.value for outcome in outcomes]
        sd = statistics.stdev(values) if len(values) > 1 else math.nan
        mean = statistics.fmean(values)
        result["confirmed"] = {
            metric: mean,
            "sd": sd,
            "worst": min(values) if search.metric.higher_is_better else max(values),
            "diverged": sum(outcome.status == "diverged" for outcome in outcomes),
            "values": values,
            "steps": sum(outcome.steps for outcome in outcomes),
            "tokens": sum(outcome.tokens for outcome in outcomes),
        }
        # Positive: the search saw a better value than fresh seeds give.
        result["optimism"] = sign * (mean - found)
        result["expected_optimism"] = expected_optimism(totals.compared, sd / math.sqrt(best.runs))
    return result


class _Progress:
    """Emits the events of a search."""

    def __init__(self, config: SearchConfig, run: RunDirectory, options: RunOptions) -> None:
        self._config, self._run, self._events = config, run, options.events
        self._trials: set[int] = set()
        self._best: tuple[float, float] | None = None
        self._search: Search | None = None

    def begin(self, search: Search) -> None:
        self._search, self._trials = search, set(search.totals.trials)
        self._best = search.totals.best[-1] if search.totals.best else None
        if self._events is not None:
            self._events(Started("search", str(self._run.path), "trial"))
            self._events(Stage("trials", RUN, self._total, len(self._trials)))

    def on_row(self, row: dict[str, Any]) -> None:
        """A new row of the log was written."""
        if self._events is None or self._search is None or row["kind"] != "result":
            return
        self._trials.add(row["trial"])
        self._events(Progress("trials", RUN, len(self._trials), self._total))
        best = self._search.totals.best[-1] if self._search.totals.best else None
        if best != self._best and best is not None:
            self._best = best
            found = self._search.scheduler.best
            assert found is not None
            self._events(Message(f"best so far: {self._config.metric} {best[1]:.4f}, trial {found.trial}"))

    @property
    def _total(self) -> int | None:
        """How many trials there will be; None for a population, whose forks are trials of which nobody knows the number."""
        return None if self._config.scheduler.name == "population" else self._config.trials

    @property
    def on_job_event(self) -> OnJobEvent | None:
        """A consumer of the jobs' events; None where nobody wants them."""
        return None if self._events is None else self._emit_of

    def _emit_of(self, job_id: str, event: RunEvent) -> None:
        assert self._search is not None
        self._emit(next(job for job in self._search.running if job.id == job_id), event)

    def _emit(self, job: Job, event: RunEvent) -> None:
        if self._events is not None:
            self._events(Nested(Path(job.folder).relative_to(self._run.path).as_posix(), job.name, event))

    def on_result(self, job: Job, result: Result) -> None:
        """A job has ended."""
        if self._events is None:
            return
        summary = RunDirectory(job.folder).summary()
        figures = {} if summary is None else to_json(summary.metrics)
        value = figures.get(self._config.metric)
        words = f"{self._config.metric} {value:.4f}" if isinstance(value, float) else None
        ended = Ended(
            result["status"],
            reason=result.get("error"),
            headline=words,
            reused=result.get("reused", False),
            figures=figures,
        )
        self._emit(job, ended)


def _result(run: RunDirectory, summary: Summary, options: RunOptions, *, reused: bool = False) -> dict[str, Any]:
    if options.events is not None:
        words = headline(summary.metrics)
        options.events(Ended(summary.status, headline=words, reused=reused, figures=to_json(summary.metrics)))
    return {"status": summary.status, "reused": reused, "folder": str(run.path), "metrics": summary.metrics}
