"""A new run that starts from a step of a recorded run, under a different decision."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trimtab.config import allowing_code, apply_overrides
from trimtab.records import Parent, RunDirectory, refuse_changes
from trimtab.runtime.context import DEFAULT_CONTEXT, RunContext
from trimtab.runtime.device import check_threads
from trimtab.runtime.nested import split
from trimtab.training.config import RunConfig, resolve_config
from trimtab.training.runs.conditions import conditions_now, differences
from trimtab.training.runs.lifecycle import begin, overridden_keys
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import state_after_step


def fork(
    parent: Path | str,
    at: int,
    out: Path | str,
    overrides: Iterable[str] = (),
    *,
    accept_changes: bool = False,
    allow_code: bool = False,
    context: RunContext = DEFAULT_CONTEXT,
) -> dict[str, Any]:
    """Start a run in `out` from the state of the run in `parent` after step `at`, with `key=value` overrides.

    The state comes from the parent's nearest checkpoint and an exact replay to the step. Without overrides the child is
    the original, bit for bit. Once its first checkpoint (of step `at`) is written, the child no longer needs its parent.
    Raises `RunError` for a step that the parent does not have, for an override that does not fit its state, for changed
    conditions (unless `accept_changes`), and for a parent whose config names code by a dotted path (unless `allow_code`).
    """
    RunDirectory(out).check_free()
    with allowing_code(allow_code):
        return _fork(RunDirectory(parent), at, out, overrides, accept_changes, context)


def _fork(
    run: RunDirectory, at: int, out: Path | str, overrides: Iterable[str], accept_changes: bool, context: RunContext
) -> dict[str, Any]:
    manifest = run.manifest()
    old = recorded_config(manifest, run)
    changes = differences(manifest, conditions_now(old, context.events))
    if not accept_changes:
        consequence = "Its child would differ from it by more than your decision."
        refuse_changes(run.path, changes, consequence, "fork with --accept-changes")
    data = old.model_dump(mode="json")
    overridden = overridden_keys(apply_overrides(data, overrides, RunConfig))
    config = resolve_config(data, source="--set")
    if "threads" in overridden:
        check_threads(config.threads)
    return fork_as(run, at, out, config, overridden, changes=changes, context=context)


def fork_as(
    run: RunDirectory,
    at: int,
    out: Path | str,
    config: RunConfig,
    changed: Iterable[str],
    *,
    controller: dict[str, Any] | None = None,
    changes: Iterable[str] = (),
    context: RunContext = DEFAULT_CONTEXT,
) -> dict[str, Any]:
    """Start a run in `out` from the state of `run` after step `at`, under a resolved config.

    `changed` are the keys (as `changed_keys` gives them) that the child decides for itself; `changes` are the conditions that
    have changed since the parent was recorded. `controller` is the memory with which its regime controller starts.
    """
    start = state_after_step(run.path, at, context.events)
    memory = None if controller is None else split(controller, "controller")[0]
    lineage = Parent(
        run_id=run.manifest().run_id,
        step=at,
        path=str(run.path.resolve()),
        changed=sorted(changed),
        changes=list(changes),
        controller=memory,
    )
    return begin(config, Path(out), context, start=start, parent=lineage)
