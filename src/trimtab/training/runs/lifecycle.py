"""Starting and resuming a run in a folder."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trimtab.config import RunError, WorkError, allowing_code, apply_overrides, config_hash
from trimtab.records import (
    Manifest,
    Parent,
    RunDirectory,
    Summary,
    clean_leftovers,
    code_state,
    new_run_id,
    now,
    peak_rss_mb,
    refuse_changes,
    to_json,
    truncate,
)
from trimtab.records.failures import write_failure
from trimtab.records.hashing import Seal, seal_of
from trimtab.records.integrity import differing
from trimtab.runtime.checkpoint import Snapshot, drop_after, newest_sound
from trimtab.runtime.context import DEFAULT_CONTEXT, RunContext
from trimtab.runtime.device import check_threads
from trimtab.runtime.events import Ended, Started
from trimtab.runtime.logger import MemoryLogger, RunLogger
from trimtab.training.config import RunConfig, resolve_config
from trimtab.training.loop.trainer import Trainer
from trimtab.training.metrics import headline
from trimtab.training.runs.assembly import Assembly, assemble
from trimtab.training.runs.conditions import conditions_now, conditions_of, differences
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import restore_run, state_of_parent
from trimtab.training.runs.untrained import is_needed, untrained_figures
from trimtab.version import __version__

_Event = tuple[str, dict[str, Any]]
"""Kind and details of an event."""


def train(config: RunConfig, out: Path | str, context: RunContext = DEFAULT_CONTEXT) -> dict[str, Any]:
    """Start a run in the new folder `out` and train it to its end; returns what `Trainer.train` returns.

    `config` need not be resolved. Raises `ConfigError`, `DataError` and `RunError` before anything is written.
    """
    return begin(resolve_config(config.model_dump(mode="json")), Path(out), context)


def begin(
    config: RunConfig,
    out: Path,
    context: RunContext,
    *,
    start: Snapshot | None = None,
    parent: Parent | None = None,
) -> dict[str, Any]:
    """Start a run of a resolved config, from its own initial weights or from `start`, a state of `parent`.

    A start that fails before its first step leaves no files, so that the same command can be tried again.
    """
    run = RunDirectory(out)
    run.check_free()
    if parent is None:
        check_threads(config.threads)
    assembly = assemble(config, context.events)
    trainer = _restored(assembly, context, start, None, parent)
    with run.create():
        manifest = _manifest(assembly, context, parent)
        try:
            manifest.write(run.manifest_path)
        except WorkError as error:
            if isinstance(error.__cause__, OSError):
                again = "run the same command again. The run has not started, and no file of it is left."
                raise write_failure(run.manifest_path, error.__cause__, again) from error
            raise
        trainer.state.run_id = manifest.run_id
        try:
            return _train(run, assembly, trainer, context, events=_first_events(parent))
        except BaseException:
            run.withdraw()
            raise


def _first_events(parent: Parent | None) -> list[_Event]:
    """The events at the start of a run's records: for a fork, its parent."""
    return [] if parent is None else [("fork", parent.model_dump(exclude={"controller"}))]


def resume(
    out: Path | str,
    overrides: Iterable[str] = (),
    *,
    accept_changes: bool = False,
    allow_code: bool = False,
    context: RunContext = DEFAULT_CONTEXT,
) -> dict[str, Any]:
    """Resume the run in `out` from its newest sound checkpoint, after an interruption or a kill at any moment.

    `overrides` are `key=value` options. Raises `RunError` that names the changed conditions (config, data, code, threads,
    hardware), unless `accept_changes`; accepted changes are recorded as an event. A run whose config names code by a dotted path
    is refused before anything is imported, unless `allow_code`. A run that has ended is not trained further unless overrides are
    given; its figures are returned. Apart from removing what killed writers left, nothing is changed before the state is
    restored.
    """
    run = RunDirectory(out)
    manifest = run.manifest()
    with allowing_code(allow_code), run.lock():
        for folder in (run.path, run.checkpoints_path):
            clean_leftovers(folder)
        old = recorded_config(manifest, run)
        data = old.model_dump(mode="json")
        overridden = overridden_keys(apply_overrides(data, overrides, RunConfig))
        summary = run.summary()
        if summary is not None and summary.status != "interrupted" and not overridden:
            _emit_end(context, summary.status, summary.metrics, reused=True)
            return {"status": summary.status, "steps": summary.steps, **summary.metrics, "already_ended": True}
        config = resolve_config(data, source="--set")
        if "threads" in overridden:
            check_threads(config.threads)
        assembly = assemble(config, context.events)
        changes = differences(manifest, conditions_of(assembly))
        if not accept_changes:
            refuse_changes(
                run.path, changes, "Continuing would not reproduce the uninterrupted run.", "use --accept-changes"
            )
        checkpoint = _newest_fitting(run)
        step, snapshot, records, refused = checkpoint or (0, None, dict.fromkeys(_RECORDS, NO_ROWS), [])
        if checkpoint is None and manifest.parent is not None:
            step = manifest.parent.step
            snapshot = state_of_parent(manifest.parent, context.events)
        trainer = _restored(assembly, context, snapshot, manifest.run_id, manifest.parent, overridden)
        trainer.state.run_id = manifest.run_id
        run.clear_summary()
        changes = [*manifest.unrecorded_changes, *changes]
        if changes or config_hash(assembly.config) != manifest.config_hash:
            rewritten = _manifest(assembly, context, None, keep=manifest)
            rewritten.model_copy(update={"unrecorded_changes": changes}).write(run.manifest_path)
        for name, seal in records.items():
            if (run.path / name).exists() or seal.bytes:
                truncate(run.path / name, seal.bytes)
        drop_after(run.checkpoints_path, step)
        detail = {"from_step": step, "changes": changes, "refused_checkpoints": refused}
        first = _first_events(manifest.parent) if checkpoint is None else []
        return _train(run, assembly, trainer, context, events=[*first, ("resume", detail)])


def train_or_resume(config: RunConfig, out: Path | str, context: RunContext) -> dict[str, Any]:
    """Start a run of a resolved config in `out`, resume it, or find it finished; returns `status` and `reused`.

    A finished run, or one that has paused where `context.until` says, is reused only if the conditions in its manifest equal the
    current ones (see `Conditions`). The comparison does not build its data or model. Raises `RunError` that names what differs.
    """
    run = RunDirectory(out)
    if not run.exists():
        return {"status": begin(config, run.path, context)["status"], "reused": False}
    changes = differences(run.manifest(), conditions_now(config, context.events))
    refuse_changes(run.path, changes, "It cannot be taken as the run of this config.", "choose another --out")
    summary = run.summary()
    if summary is not None and (summary.status != "interrupted" or summary.steps == context.until):
        _emit_end(context, summary.status, summary.metrics, reused=True)
        return {"status": summary.status, "reused": True}
    return {"status": resume(run.path, context=context)["status"], "reused": False}


def _newest_fitting(run: RunDirectory) -> tuple[int, Snapshot, dict[str, Seal], list[str]] | None:
    """The newest sound checkpoint whose records are unchanged up to it, with the reasons why newer ones were refused.

    None if there is no checkpoint. Raises `RunError` if no checkpoint fits: all are damaged, or the records were changed or cut
    within the part that each of them covers.
    """
    checkpoint, refused = newest_sound(run.checkpoints_path), list[str]()
    newest = None if checkpoint is None else checkpoint[0]
    while checkpoint is not None:
        step, snapshot, records, damaged = checkpoint
        refused += damaged
        wrong = differing(run.path, records, whole=False)
        if not wrong:
            return step, snapshot, records, refused
        refused.append(f"The checkpoint of step {step} does not fit: {', '.join(wrong)}.")
        checkpoint = newest_sound(run.checkpoints_path, at_most=step - 1)
    if newest is None:
        return None
    raise RunError(
        f"The records of the run in {run.path} were changed after the run wrote them, so no checkpoint fits them. "
        f"{' '.join(refused)} Restore them from a copy, or start a new run from the weights by `trimtab fork {run.path} "
        f"--at {newest} --out NEW`."
    )


_RECORDS = ("steps.jsonl", "events.jsonl", "evaluations.jsonl")
NO_ROWS = Seal(bytes=0, sha256=hashlib.sha256().hexdigest())
"""The seal of an empty file."""


def overridden_keys(paths: Iterable[tuple[str | int, ...]]) -> frozenset[str]:
    """The config keys that overrides name, as `changed_keys` writes them."""
    return frozenset(".".join(map(str, path[:2])) if path[0] == "episode" else str(path[0]) for path in paths)


def _restored(
    assembly: Assembly,
    context: RunContext,
    snapshot: Snapshot | None,
    run_id: str | None,
    parent: Parent | None,
    overridden: frozenset[str] = frozenset(),
) -> Trainer:
    """A trainer in the state of `snapshot`. It records nothing until it gets a logger."""
    trainer = assembly.trainer(MemoryLogger(), context.stop)
    if (until := context.until) is not None:
        state = trainer.state
        trainer.stop = lambda: f"paused after step {until}" if state.step >= until else context.stop()
    if snapshot is not None:
        restore_run(assembly, trainer, snapshot, run_id, parent, overridden)
    return trainer


def _train(
    run: RunDirectory, assembly: Assembly, trainer: Trainer, context: RunContext, *, events: list[_Event]
) -> dict[str, Any]:
    logger = RunLogger(run, context.events)
    trainer.logger = logger
    state = trainer.state
    try:
        if context.events is not None:
            context.events(Started("training", str(run.path), "step", state.episode.steps, state.step))
        if state.step == 0:
            facts = assembly.data.report.lines()
            logger.event(0, 0, "data", "; ".join(facts), after=facts)
        for kind, detail in events:
            notes = [
                f"continues from step {state.step}",
                *detail.get("changes", ()),
                *detail.get("refused_checkpoints", ()),
            ]
            logger.event(state.step, state.attempt, kind, "; ".join(notes), after=detail)
            if kind == "fork" or detail["changes"]:
                # With this checkpoint a fork no longer needs its parent, and a kill cannot lose the record of a change.
                trainer.checkpoint(kind)
        if (manifest := run.manifest()).unrecorded_changes:
            manifest.model_copy(update={"unrecorded_changes": []}).write(run.manifest_path)
        result = trainer.train(assembly.train_loader, assembly.val_loader)
        if is_needed(result):
            result["untrained"] = untrained_figures(assembly) | {"train_loss": state.divergence.baseline}
    finally:
        logger.close()
    figures = {k: v for k, v in result.items() if k not in ("status", "steps", "weights_sha256", "folder", "seconds")}
    seconds = float(result["seconds"])
    Summary(
        status=result["status"],
        steps=result["steps"],
        metrics=figures,
        weights_sha256=result["weights_sha256"],
        tokens_per_second=result["tokens"] / seconds if seconds else None,
        seconds=seconds,
        peak_rss_mb=peak_rss_mb(),
        records=_records(run),
    ).write(run.summary_path)
    _emit_end(context, result["status"], figures)
    return result


def _emit_end(context: RunContext, status: str, figures: dict[str, Any], *, reused: bool = False) -> None:
    if context.events is not None:
        context.events(Ended(status, headline=headline(figures), reused=reused, figures=to_json(figures)))


def _records(run: RunDirectory) -> dict[str, Seal]:
    """The seals of the run's records, by file name."""
    paths = [run.manifest_path, *(run.path / name for name in _RECORDS), run.predictions_path]
    return {path.name: seal_of(path) for path in paths if path.exists()}


def _manifest(assembly: Assembly, context: RunContext, parent: Parent | None, keep: Manifest | None = None) -> Manifest:
    data, conditions = assembly.data, conditions_of(assembly)
    config = conditions.config
    commit, dirty = code_state()
    fields = {
        "git_commit": commit,
        "git_dirty": dirty,
        "config_hash": config_hash(config),
        "config": config.model_dump(mode="json"),
        "hooks": conditions.hooks,
        "components": conditions.components,
        "seed": config.seed,
        "data": {
            "name": data.name,
            "fingerprint": conditions.data_fingerprint,
            "tokens": data.report.tokens,
            "report": {key: value for key, value in data.report.to_dict().items() if key != "files"},
        },
        "model": _parameter_counts(assembly) | {"fingerprint": conditions.base_fingerprint},
        "environment": conditions.environment,
        "trimtab": __version__,
        "command": list(context.command or sys.argv),
    }
    if keep is not None:
        return Manifest.model_validate(keep.model_dump() | fields)
    return Manifest.model_validate({"run_id": new_run_id(), "created_at": now(), "parent": parent, **fields})


def _parameter_counts(assembly: Assembly) -> dict[str, Any]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in assembly.model.parameters()]
    return {
        "parameters": sum(size for size, _ in sizes),
        "trained": sum(size for size, trains in sizes if trains),
    }
