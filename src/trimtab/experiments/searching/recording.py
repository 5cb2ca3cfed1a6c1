"""A finished search as a table of recorded runs."""

import math
from pathlib import Path

from trimtab.config import RunError
from trimtab.experiments.reading import figures_of
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.kind import SEARCH
from trimtab.experiments.searching.parts import metric_of, trial_seed
from trimtab.experiments.searching.places import trial_folder
from trimtab.records import RunDirectory, read_rows
from trimtab.records.metrics import Metric
from trimtab.records.search_rows import SearchRow
from trimtab.search.table import RecordedKey, RecordedRun, RecordedSetting, Table

_ENVIRONMENT = ("cpu", "torch", "source_hash")
"""What a table keeps of the environment in which its runs were made."""


def recorded_table(folder: Path) -> Table:
    """The runs of a finished search, whose scheduler was `whole`, as a table.

    Raises `RunError` for a folder that holds no such search, and for runs that are not all evaluated at the same steps.
    """
    directory = RunDirectory(folder)
    manifest, summary = directory.manifest(), directory.summary()
    if manifest.kind != SEARCH.name:
        raise RunError(f"{folder} holds a run of the kind '{manifest.kind}', not a search.")
    config = SearchConfig.model_validate(manifest.config, strict=False)
    if summary is None or summary.status != "completed":
        raise RunError(f"The search in {folder} has not ended. Run its command again, and then make the table.")
    if config.scheduler.name != "whole" or config.table is not None or config.fresh_seeds:
        raise RunError(
            f"The search in {folder} gives no table: it needs the scheduler 'whole', runs that were trained, and the same seeds "
            "for all trials."
        )
    metric, seeds = metric_of(config), config.scheduler.spec["seeds"]
    if config.run.episode.early_stopping is not None:
        raise RunError(
            f"The search in {folder} gives no table: with early_stopping its runs do not all reach their end."
        )
    if not metric.evaluated or {"episode", "episode.steps", "episode.evaluate_every"} & config.space.keys():
        raise RunError(
            f"The search in {folder} gives no table: it needs a metric that every evaluation measures, and runs that are all "
            "evaluated at the same steps."
        )
    every, end = config.run.episode.evaluate_every, config.run.episode.steps
    steps = [*range(every, end, every), end]
    trials = {
        row["trial"]: row["settings"] for row in read_rows(directory.events_path, SearchRow) if row["kind"] == "trial"
    }
    rows: list[RecordedSetting] = []
    for trial, settings in sorted(trials.items()):
        if any(row.settings == settings for row in rows):
            continue  # the search made these runs once
        places = [trial_folder(folder, trial, trial_seed(config, trial, number)) for number in range(seeds)]
        rows.append(
            RecordedSetting(settings=settings, runs=[_run(RunDirectory(place), metric, steps) for place in places])
        )
    return Table(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        run={**config.run.model_dump(mode="json"), "seed": 0},
        space={key: RecordedKey.model_validate(given.model_dump(mode="json")) for key, given in config.space.items()},
        steps=steps,
        source={
            "seed": config.seed,
            "data_fingerprint": manifest.data.fingerprint,
            **{key: manifest.environment.get(key) for key in _ENVIRONMENT},
        },
        rows=rows,
    )


def _run(run: RunDirectory, metric: Metric, steps: list[int]) -> RecordedRun:
    """The values of a run; those of the untrained model after it diverged, and where a value is not finite."""
    summary = run.summary()
    if summary is None or summary.status not in ("completed", "diverged"):
        raise RunError(f"The run in {run.path} has not ended.")
    untrained = metric.untrained(figures_of(summary))
    rows = {row["step"]: row for row in run.evaluations()}
    diverged = summary.steps if summary.status == "diverged" else None
    values, tokens = [], []
    for step in steps:
        gone = diverged is not None and diverged <= step
        value = untrained if gone else float(rows.get(step, {}).get(metric.name, math.nan))
        value = value if math.isfinite(value) else untrained
        if not math.isfinite(value):
            raise RunError(
                f"The run in {run.path} has no {metric.name} at step {step}, and none of its untrained model."
            )
        values.append(value)
        tokens.append(int(summary.metrics["tokens"] if gone else rows[step]["tokens"]))
    return RecordedRun(values=values, tokens=tokens, diverged=diverged)
