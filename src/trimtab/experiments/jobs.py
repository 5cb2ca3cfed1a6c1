"""One episode of an experiment as a job: what is to be run where, and running it (or finding it done)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab.config import RunConfig, RunError, changed_keys, resolve_config
from trimtab.experiments.lazy import first_action
from trimtab.records import RunDirectory
from trimtab.records.atomic import write_json
from trimtab.training import Caller, fork_as, resume, train
from trimtab.training.assembly import assemble
from trimtab.training.lifecycle import differences
from trimtab.training.recorded import recorded_config

Kind = Literal["train", "fork", "lazy_fork", "twins", "memory"]
SAME_AS = "same_as.json"
"""Stands in an episode's folder in place of a run: the controller never acted, so the episode is the baseline's."""


@dataclass(frozen=True)
class Job:
    """An episode to run in `folder`: a run of its own, or a fork of the run in `parent` (at step `at`, or lazily); a memory run.

    `twins` holds the interventions of the run in `parent` against twins that did nothing (`options`: `Twin`'s fields).
    """

    arm: str
    seed: int
    folder: str
    config: dict[str, Any]
    kind: Kind = "train"
    parent: str | None = None
    at: int | None = None
    cell: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The episode in words."""
        values = "".join(f", {key.rsplit('.', 1)[-1]} {value}" for key, value in self.cell.items())
        return f"{self.arm}, seed {self.seed}{values}"


def run_job(job: Job, caller: Caller) -> dict[str, Any]:
    """Run an episode, go on with it, or find it done; returns its status and what it cost.

    A finished episode is taken as it is only when config, data, code and numeric environment are what they would be now.
    Raises `RunError` that names what differs.
    """
    config = resolve_config(job.config, source=job.name)
    run = RunDirectory(job.folder)
    marker = run.path / SAME_AS
    if marker.exists() and job.parent is not None:
        if first_action(RunDirectory(job.parent), config) is None:
            return {"status": "same", "reused": True}
        marker.unlink()  # the controller is another one than it was then
    if run.exists():
        return _go_on(run, config, job, caller)
    if job.kind == "train":
        return _told(train(config, run.path, caller))
    assert job.parent is not None
    parent = RunDirectory(job.parent)
    if job.kind == "fork":
        assert job.at is not None
        changed = changed_keys(recorded_config(parent.manifest(), parent), config)
        return _told(fork_as(parent, job.at, run.path, config, changed, caller=caller))
    return _lazy(parent, run, config, job, caller)


def _lazy(parent: RunDirectory, run: RunDirectory, config: RunConfig, job: Job, caller: Caller) -> dict[str, Any]:
    action = first_action(parent, config)
    if action is None:
        run.path.mkdir(parents=True, exist_ok=True)
        reason = "the controller never made an effective decision over the baseline's records"
        write_json(run.path / SAME_AS, {"run_id": parent.manifest().run_id, "reason": reason})
        ended = parent.summary()
        return {"status": "same", "saved_steps": config.episode.steps if ended is None else ended.steps}
    if action.start == 0:
        return _told(train(config, run.path, caller))
    changed = changed_keys(recorded_config(parent.manifest(), parent), config)
    result = fork_as(parent, action.start, run.path, config, changed, controller=action.controller, caller=caller)
    return _told(result) | {"saved_steps": action.start}


def _go_on(run: RunDirectory, config: RunConfig, job: Job, caller: Caller) -> dict[str, Any]:
    manifest = run.manifest()
    changes = differences(manifest, assemble(config, caller.progress))
    if changes:
        raise RunError(
            f"The episode in {run.path} ({job.name}) was made under other conditions: {'; '.join(changes)}. Undo the change, "
            "or run the experiment into another --out."
        )
    saved = manifest.parent.step if manifest.parent is not None and job.kind == "lazy_fork" else 0
    summary = run.summary()
    if summary is not None and summary.status != "interrupted":
        return {"status": summary.status, "reused": True, "saved_steps": saved}
    return _told(resume(run.path, caller=caller)) | {"saved_steps": saved}


def _told(result: dict[str, Any]) -> dict[str, Any]:
    return {"status": result["status"], "reused": False}
