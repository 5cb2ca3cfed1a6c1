"""A budget run in a folder."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimtab.boundary import read_regular
from trimtab.config import RunError
from trimtab.metacognition.budgets.config import BudgetsConfig
from trimtab.metacognition.budgets.kind import BUDGETS
from trimtab.metacognition.policies import Outcomes, compared
from trimtab.metacognition.recipe.kind import THINKING
from trimtab.metacognition.recipe.stages import COMPARED, PRICED
from trimtab.records import RunDirectory, Summary, environment, peak_rss_mb, read_rows, refuse_changes, to_json
from trimtab.records.hashing import seal_of
from trimtab.records.metrics import Metric, Metrics
from trimtab.records.thinking_rows import OutcomeRow
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import Ended
from trimtab.training.config import RunConfig
from trimtab.training.runs.conditions import Conditions
from trimtab.training.runs.outer import outer_changes, outer_manifest


def run_budgets(config: BudgetsConfig, out: Path | str, context: RunContext) -> dict[str, Any]:
    """Choose budgets for the outcomes of a thinking run, and record what they get right and for how many tokens.

    Raises `RunError` where there is no finished thinking run of the seed, where `out` holds something else, and where the
    outcomes or the config have changed.
    """
    began = time.perf_counter()
    source = RunDirectory(Path(config.runs) / f"seed-{config.seed}")
    tables = [source.path / name for name in (PRICED, COMPARED)]
    finished = source.exists() and (summary := source.summary()) is not None and summary.status == "completed"
    if not finished or source.manifest().kind != THINKING.name:
        raise RunError(
            f"There is no finished thinking run in {source.path}. `runs` must be a folder with thinking runs seed-0, seed-1 and "
            "so on, such as an arm of an experiment whose episodes are thinking runs. Finish that first."
        )
    run, here = RunDirectory(out), environment(1, "fp32", "cpu")
    content = b"".join(hashlib.sha256(read_regular(table)).digest() for table in tables)
    conditions = Conditions(RunConfig(), hashlib.sha256(content).hexdigest(), None, [], [], here)
    new = not run.exists()
    if new:
        run.check_free()
    with run.create() if new else run.lock():
        if new:
            outer_manifest(BUDGETS.name, config, conditions, "outcomes", context.command).write(run.manifest_path)
        else:
            changes = outer_changes(run.manifest(), config, conditions)
            refuse_changes(run.path, changes, "Its result would be another one.", "choose another --out")
        known = run.summary()
        figures = known.metrics if known is not None else _figures(config, source, tables)
        if known is None:
            Summary(
                status="completed",
                steps=0,
                metrics=figures,
                weights_sha256=None,
                tokens_per_second=None,
                seconds=time.perf_counter() - began,
                peak_rss_mb=peak_rss_mb(),
                records={run.manifest_path.name: seal_of(run.manifest_path)},
            ).write(run.summary_path)
    context.emit(Ended("completed", headline=headline(figures), reused=known is not None, figures=to_json(figures)))
    return {"status": "completed", "reused": known is not None, "folder": str(run.path), "metrics": figures}


def _figures(config: BudgetsConfig, source: RunDirectory, tables: list[Path]) -> dict[str, Any]:
    caps = source.manifest().config["run"]["model"]["caps"]
    training, test = (Outcomes(read_rows(table, OutcomeRow), caps) for table in tables)
    figures = compared(test, training, config.share)
    if config.policy == "hull":
        predicted = figures["predicted"]
        return {"gain": 0.0, "accuracy": predicted["hull"], "tokens": predicted["tokens"]}
    return {name: figures[config.policy][name] for name in ("gain", "accuracy", "tokens")}


def metrics_of(config: BudgetsConfig) -> Metrics:
    """The metrics that a budget run has."""
    del config
    return Metrics(
        always=(Metric("gain", True), Metric("accuracy", True), Metric("tokens", False, "tokens")),
        prefixes={},
        explored=("gain", "accuracy", "tokens"),
    )


def headline(metrics: Mapping[str, Any]) -> str | None:
    """Accuracy and tokens."""
    if "accuracy" not in metrics:
        return None
    return f"{metrics['accuracy']:.3f} right for {metrics['tokens']:.1f} thought tokens"
