"""How an experiment is run; what has been done, in `experiment.json` and as events."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trimtab.config import kind_named
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.executor import OnJobEvent, Result
from trimtab.experiments.jobs import Job
from trimtab.records import RunDirectory, now, to_json
from trimtab.records.experiment_files import EpisodeProgress, FailureEvent
from trimtab.runtime.events import RUN, Ended, Message, Nested, OnEvent, Progress, RunEvent, Stage, Started


@dataclass(frozen=True)
class RunOptions:
    """How an experiment is run: worker processes, the executor, a reason to stop, a consumer of events, the command line.

    Without an `executor` it is `inline` for no workers and `processes` for some.
    """

    workers: int = 0
    executor: str | None = None
    stop: Callable[[], str | None] = lambda: None
    events: OnEvent | None = None
    command: tuple[str, ...] = ()

    @property
    def executor_name(self) -> str:
        """The chosen executor; if none was chosen, the one that follows from the number of workers."""
        return self.executor or ("processes" if self.workers else "inline")


class ExperimentLog:
    """Keeps `experiment.json` up to date and emits the experiment's events."""

    def __init__(self, folder: ExperimentDirectory, options: RunOptions) -> None:
        self.folder, self._events = folder, options.events
        self.record = folder.progress().model_copy(update={"records": {}})  # drop the hashes that an earlier end wrote
        self.ran = False
        """Whether a job was run, and not just found done."""
        self._jobs: dict[str, Job] = {}
        self._emit(Started("experiment", str(folder.path), "episode"))

    def begin_stage(self, name: str, jobs: list[Job]) -> None:
        """A part of the experiment begins."""
        self._stage, self._done = name, 0
        self._jobs = {job.id: job for job in jobs}
        if jobs:
            self._emit(Stage(name, RUN, len(jobs)))

    @property
    def on_job_event(self) -> OnJobEvent | None:
        """A consumer of the jobs' events; None where nobody wants them."""
        if self._events is None:
            return None
        return lambda job_id, event: self._emit_of(self._jobs[job_id], event)

    def on_result(self, job: Job, result: Result) -> None:
        """Record the result of a job, then emit it."""
        name, status = self.folder.name(job.folder), result["status"]
        if status in ("lost", "failed"):
            event = FailureEvent.model_validate({"time": now(), "episode": name, **result})
            self._update(events=[*self.record.events, event])
        if status == "lost":
            self._write()
            self._emit_of(job, Message(f"{status}: {result['error']}"))
            return
        before = self.record.episodes.get(name)
        saved = result.get("saved_steps", 0 if before is None else before.saved_steps)
        episode = EpisodeProgress(status=status, saved_steps=saved)
        self._update(episodes={**self.record.episodes, name: episode})
        self.ran = self.ran or not result.get("reused", False)
        self._done += 1
        self._write()
        if self._events is not None:
            self._emit(Progress(self._stage, RUN, self._done, len(self._jobs)))
            self._emit_of(job, _ended(job, result))

    def message(self, text: str) -> None:
        """Emit a sentence."""
        self._emit(Message(text))

    def end(self, status: str) -> None:
        """The experiment has ended, for now or for good: record the hashes of what its verdicts are made of.

        The time of an earlier end stays where no episode was run since.
        """
        same = not self.ran and self.record.status == status
        ended = self.record.ended_at if same else None
        self._update(status=status, ended_at=ended or now(), records=self.folder.seals())
        self._write()
        self._emit(Ended(status))

    def _emit(self, event: RunEvent) -> None:
        if self._events is not None:
            self._events(event)

    def _emit_of(self, job: Job, event: RunEvent) -> None:
        self._emit(Nested(self.folder.name(job.folder), job.name, event))

    def _update(self, **fields: Any) -> None:
        self.record = self.record.model_copy(update=fields)

    def _write(self) -> None:
        self.folder.write_progress(self.record)


def _ended(job: Job, result: Result) -> Ended:
    if "error" in result:
        return Ended(result["status"], result["error"])
    summary = RunDirectory(job.folder).summary()
    metrics: dict[str, Any] = {} if summary is None else summary.metrics
    headline = kind_named(job.episodes).load("headline")
    words = None if headline is None else headline(metrics)
    return Ended(result["status"], headline=words, reused=result.get("reused", False), figures=to_json(metrics))
