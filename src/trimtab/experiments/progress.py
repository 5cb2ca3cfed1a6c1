"""How an experiment is run, and the record of what has been done."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from trimtab.boundary import printable
from trimtab.config import kind_named
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.executor import Answer
from trimtab.experiments.jobs import Job
from trimtab.records import RunDirectory, now

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """How an experiment is run: worker processes, the executor, a way to ask for a stop, where to say what happens.

    Without an `executor` it is `inline` for no workers and `processes` for some.
    """

    workers: int = 0
    executor: str | None = None
    stop: Callable[[], str | None] = lambda: None
    say: Say = print
    command: tuple[str, ...] = ()

    @property
    def executor_name(self) -> str:
        """The executor, chosen or by the number of workers."""
        return self.executor or ("processes" if self.workers else "inline")


class Progress:
    """`experiment.json`, kept up to date, and what is said while it goes on."""

    def __init__(self, folder: ExperimentDirectory, options: RunOptions) -> None:
        self.folder, self.options = folder, options
        self.content = folder.progress()
        self.content.pop("records", None)  # those of an earlier end
        self.ran = False
        self.expect(0)

    def expect(self, jobs: int) -> None:
        """A phase of so many jobs begins."""
        self.total, self.done, self.made, self.begun = jobs, 0, 0, time.monotonic()

    def on_answer(self, job: Job, answer: Answer) -> None:
        """Record and say what came of an episode."""
        name = self.folder.name(job.folder)
        if answer["status"] in ("lost", "failed"):
            self.content["events"].append({"time": now(), "episode": name, **answer})
        if answer["status"] != "lost":
            saved = self.content["episodes"].get(name, {}).get("saved_steps", 0)
            self.content["episodes"][name] = {
                "status": answer["status"],
                "saved_steps": answer.get("saved_steps", saved),
            }
            self.done += 1
            self.made += not answer.get("reused", False)
            self.ran = self.ran or not answer.get("reused", False)
        self._write()
        text = f"[{self.done}/{self.total}] {job.name}: {self._account(job, answer)}{self._time_left()}"
        self.options.say(printable(text))

    def _time_left(self) -> str:
        if not self.made or self.done == self.total:
            return ""
        seconds = (time.monotonic() - self.begun) / self.made * (self.total - self.done)
        return f" (about {seconds / 60:.0f} min left)" if seconds > 90 else f" (about {seconds:.0f} s left)"

    def _account(self, job: Job, answer: Answer) -> str:
        if "error" in answer:
            return f"{answer['status']}: {answer['error']}"
        summary = RunDirectory(job.folder).summary()
        metrics = {} if summary is None else summary.metrics
        headline = kind_named(job.episodes).load("headline")
        result = None if headline is None else headline(metrics)
        again = " (found done)" if answer.get("reused") else ""
        return f"{answer['status']}{'' if result is None else f', {result}'}{again}"

    def end(self, status: str) -> None:
        """The experiment has ended, for now or for good: the hashes of what its verdicts are made of are kept.

        The time of an earlier end stays where no episode was run since.
        """
        records = {name: seal.model_dump() for name, seal in self.folder.seals().items()}
        same = not self.ran and self.content["status"] == status
        ended = self.content.get("ended_at") if same else None
        self.content |= {"status": status, "ended_at": ended or now(), "records": records}
        self._write()

    def _write(self) -> None:
        self.folder.write_progress(self.content)
