"""An episode of an experiment as a job for an executor, and running it."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from trimtab.config import RunError, kind_named, resolve_root
from trimtab.config.wording import Source
from trimtab.experiments.lazy import first_action
from trimtab.records import RunDirectory
from trimtab.records.atomic import write_json
from trimtab.records.experiment_files import SAME_AS
from trimtab.runtime.context import RunContext
from trimtab.training.config import RunConfig, changed_keys
from trimtab.training.runs.forking import fork_as
from trimtab.training.runs.lifecycle import begin, train_or_resume
from trimtab.training.runs.recorded import recorded_config

Kind = Literal["run", "fork", "lazy_fork", "interventions"]


@dataclass(frozen=True)
class Job:
    """An episode to run in `folder`: a run of its own, or a fork of the run in `parent` (at step `at`, or lazily).

    `config` is resolved; in a job that came from another process it is a mapping, which `run_job` validates. `episodes` names
    the kind of run. A run with `until` pauses after that step: its result is `paused`. `interventions` measures the effects
    of the interventions of the run in `parent` (`options`: the fields of `InterventionEffects`).
    """

    arm: str
    seed: int
    folder: str
    config: BaseModel | dict[str, Any]
    episodes: str
    kind: Kind = "run"
    parent: str | None = None
    at: int | None = None
    cell: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    until: int | None = None

    @property
    def id(self) -> str:
        """Identifies the job among those of an experiment."""
        return self.folder if self.until is None else f"{self.folder} to step {self.until}"

    @property
    def message(self) -> dict[str, Any]:
        """The job as JSON values, for another process: `Job(**message)` is the job."""
        config = self.config.model_dump(mode="json") if isinstance(self.config, BaseModel) else self.config
        return asdict(replace(self, config=config))

    @property
    def name(self) -> str:
        """The episode in words."""
        values = "".join(f", {key.rsplit('.', 1)[-1]} {value}" for key, value in self.cell.items())
        return f"{self.arm}, seed {self.seed}{values}"


def run_job(job: Job, context: RunContext) -> dict[str, Any]:
    """Run an episode, resume it, or find it finished; returns its status and, for a fork, the `saved_steps`.

    A finished episode is reused only if its conditions have not changed. Raises `RunError` that names what differs.
    """
    result = _run(job, replace(context, until=job.until))
    if result["status"] == "interrupted" and job.until is not None:
        summary = RunDirectory(job.folder).summary()
        if summary is not None and summary.steps == job.until:
            result["status"] = "paused"
        elif summary is not None and summary.steps > job.until:
            raise RunError(
                f"The run in {job.folder} is at step {summary.steps}, but it is needed at step {job.until}. The records that it "
                "belongs to are older than the run. Restore both from one copy, or start again with another --out."
            )
    return result


def _run(job: Job, context: RunContext) -> dict[str, Any]:
    kind, folder, config = kind_named(job.episodes), Path(job.folder), job.config
    if not isinstance(config, BaseModel):
        config = resolve_root(kind.schema, config, Source(job.name))
    if job.kind == "run":
        result: dict[str, Any] = kind.load("run")(config, folder, context)
        return result
    assert isinstance(config, RunConfig)
    return _forked(config, RunDirectory(folder), job, context)


def _forked(config: RunConfig, run: RunDirectory, job: Job, context: RunContext) -> dict[str, Any]:
    assert job.parent is not None
    parent, marker = RunDirectory(job.parent), run.path / SAME_AS
    if marker.exists():
        if first_action(parent, config) is None:
            return {"status": "same", "reused": True}
        marker.unlink()  # written for another controller
    if run.exists():
        lineage = run.manifest().parent
        saved = lineage.step if lineage is not None and job.kind == "lazy_fork" else 0
        return train_or_resume(config, run.path, context) | {"saved_steps": saved}
    if job.kind == "fork":
        assert job.at is not None
        changed = changed_keys(recorded_config(parent.manifest(), parent), config)
        return _brief(fork_as(parent, job.at, run.path, config, changed, context=context))
    return _lazy(parent, run, config, context)


def _lazy(parent: RunDirectory, run: RunDirectory, config: RunConfig, context: RunContext) -> dict[str, Any]:
    action = first_action(parent, config)
    if action is None:
        run.path.mkdir(parents=True, exist_ok=True)
        reason = "over the baseline's records, the controller made no decision that would change the run"
        write_json(run.path / SAME_AS, {"run_id": parent.manifest().run_id, "reason": reason})
        ended = parent.summary()
        return {"status": "same", "saved_steps": config.episode.steps if ended is None else ended.steps}
    if action.start == 0:
        return _brief(begin(config, run.path, context))
    changed = changed_keys(recorded_config(parent.manifest(), parent), config)
    result = fork_as(parent, action.start, run.path, config, changed, controller=action.controller, context=context)
    return _brief(result) | {"saved_steps": action.start}


def _brief(result: dict[str, Any]) -> dict[str, Any]:
    return {"status": result["status"], "reused": False}
