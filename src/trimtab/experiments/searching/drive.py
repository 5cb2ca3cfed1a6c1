"""A search as a schedule of jobs: what its scheduler asks for, in the order of the virtual clock."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.config import ConfigError, WorkError, canonical_json
from trimtab.experiments.executor import Result, Schedule
from trimtab.experiments.jobs import Job
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.log import SearchLog
from trimtab.experiments.searching.parts import (
    confirmation_seeds,
    metric_of,
    optimizer_of,
    run_config,
    scheduler_of,
    space_of,
    trial_seed,
)
from trimtab.experiments.searching.places import (
    confirmation_folder,
    drop_all_checkpoints,
    drop_checkpoints,
    keep_newest,
    probe_folder,
    trial_folder,
)
from trimtab.experiments.searching.totals import Totals
from trimtab.experiments.searching.values import Outcome, ended_run, value_of
from trimtab.records import RunDirectory
from trimtab.search.clock import VirtualClock
from trimtab.search.scheduler import Found, Work
from trimtab.search.space import Settings
from trimtab.training.config import RunConfig, resolve_config

EPISODES = "training"
"""The kind of the runs."""


@dataclass
class Chain:
    """Jobs that run one after the other, for some work or (without `work`) for a confirmation with a seed."""

    jobs: list[Job]
    work: Work | None = None
    seed: int = 0
    done: int = 0


class Search(Schedule):
    """The jobs of a search, for `run_jobs`.

    Results are taken in the order of the virtual clock, from the log where it has them, else from the runs. Each is logged
    before the work that depends on it is given out. After the last result, the best settings are confirmed.
    """

    def __init__(
        self, config: SearchConfig, folder: Path, log: SearchLog, on_row: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__([])
        self.config, self.folder, self.log, self._on_row = config, folder, log, on_row
        self.metric = metric_of(config)
        self._sign = -1.0 if self.metric.higher_is_better else 1.0
        self.scheduler = scheduler_of(config, optimizer_of(config, space_of(config)))
        self.clock = VirtualClock(self.scheduler, parallel=config.parallel, cost=self._cost)
        self.totals = Totals()
        self.decision_seconds = 0.0
        self.outcomes: dict[int, Outcome] = {}
        self.confirmed: dict[int, Outcome] = {}
        self.weights: dict[int, str | None] = {}
        """The hash of the weights of each trial's first run, as of its last result."""
        self.error: str | None = None
        """Why the search cannot continue."""
        self.complete = False
        self._chains: dict[str, Chain] = {}
        self._statuses: dict[str, str] = {}
        self._same: dict[str, int] = {}
        self._same_as: dict[int, int] = {}
        self._seeds: dict[int, int] = {}
        """The trial whose seeds the forks of a population have."""
        self._confirming: list[int] | None = None
        self._tokens: dict[tuple[int, int, int], int] = {}
        """The tokens that a trial's run with a seed number had read at a pause."""
        self._paused: dict[int, Path] = {}
        """The run of each trial that has paused."""
        self._ended: dict[int, Path] = {}
        """The first run of each trial that has ended and has its checkpoints."""
        self.advance()

    # --- the schedule --------------------------------------------------------------------------------------------------

    def ready(self) -> Job | None:
        """The next job that may start, unless the search has failed. A run continues only after the forks of its pause ended."""
        if self.error is not None:
            return None
        needed = {job.parent for job in (*self.running, *self.waiting) if job.kind == "fork"}
        for job in self.waiting:
            if job.folder not in needed:
                self.waiting.remove(job)
                self.running.append(job)
                return job
        return None

    def blocked(self, job: Job) -> bool:
        """Never: a job waits until those before it have ended."""
        del job
        return False

    def done(self, job: Job, *, failed: bool) -> None:
        """Go on with the job's chain or, after its last one, with the search."""
        self.running.remove(job)
        if failed:
            return
        chain = self._chains.pop(job.id)
        chain.done += 1
        if job.until is not None and self._statuses.pop(job.id) != "paused":
            del chain.jobs[chain.done :]  # the run ended before its pause: it diverged, or was stopped
        if chain.done < len(chain.jobs):
            self._queue(chain, front=True)
            return
        if chain.work is not None:
            self.outcomes[chain.work.number] = self._outcome(chain.work)
        else:
            self.confirmed[chain.seed] = self._confirmation(chain)
        self.advance()

    def on_result(self, job: Job, result: Result) -> None:
        """Note how a job ended, and why it failed."""
        self._statuses[job.id] = result["status"]
        if result["status"] == "failed" and self.error is None:
            self.error = f"{job.name} failed: {result['error']}"

    def _queue(self, chain: Chain, *, front: bool = False) -> None:
        job = chain.jobs[chain.done]
        self._chains[job.id] = chain
        self.waiting.insert(0 if front else len(self.waiting), job)

    # --- the search ----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Take every result that is next on the clock, and give out the work that follows."""
        while True:
            with self._deciding():
                started = self.clock.start()
            for pending in started:
                self._begin(pending.work)
            if not self.clock.pending:
                break
            work = self.clock.next.work
            outcome = self._known(work)
            if outcome is None:
                self.log.flush()
                return
            with self._deciding():
                self.clock.end(self._told(work, outcome))
            self.outcomes[work.number] = outcome
            if work.end is not None:
                self._tokens[work.trial, work.seed, work.end] = outcome.run_tokens
            if work.seed == 0:
                self.weights[work.trial] = outcome.weights_sha256
            self._count(work, outcome)
            self._write("result", self._words(outcome), work=work.number, trial=work.trial, **vars(outcome))
            self._keep(work)
        self._confirm()
        self.log.flush()

    def _told(self, work: Work, outcome: Outcome) -> float:
        """The value for the scheduler: smaller is better. A member of a population that ended before its pause has none."""
        ended = self._until(work) is not None and outcome.status != "paused"
        if ended and self.config.scheduler.name == "population":
            return math.inf
        return self._sign * outcome.value

    def _until(self, work: Work) -> int | None:
        """The step at which some work pauses; None for the end of the run."""
        return None if work.end is None or work.end >= self._steps(work.settings) else work.end

    def _known(self, work: Work) -> Outcome | None:
        """The outcome of some work, as soon as it is known."""
        if (row := self.log.results.get(work.number)) is not None:
            return _recorded(row)
        earlier = self._same_as.get(work.number)
        if earlier is None:
            return self.outcomes.get(work.number)
        known = self.outcomes.get(earlier)
        return known and Outcome(known.status, known.value, 0, 0, known.run_tokens, known.weights_sha256)

    def _begin(self, work: Work) -> None:
        """Log that some work is given out, and queue its jobs unless its result is recorded."""
        if work.parent is not None and work.trial not in self._seeds:
            self._seeds[work.trial] = self._seeds.get(work.parent, work.parent)
        seed = self._seed(work.trial, work.seed)
        if work.start == 0 and work.end is None:
            key = canonical_json([work.settings, seed])
            if (earlier := self._same.setdefault(key, work.number)) != work.number:
                self._same_as[work.number] = earlier
        made = work.number not in self.log.results and work.number not in self._same_as
        jobs = self._jobs(work, seed) if made else []  # before the row, because it may refuse the settings
        self._write(
            "trial",
            work.reason,
            work=work.number,
            trial=work.trial,
            seed=seed,
            start=work.start,
            end=work.end,
            parent=work.parent,
            same_as=self._same_as.get(work.number),
            settings=work.settings,
        )
        if made:
            self._queue(Chain(jobs, work))

    def _jobs(self, work: Work, seed: int) -> list[Job]:
        """The run, and the probe where it pauses before its end."""
        name = f"trial {work.trial}"
        try:
            config = run_config(self.config, work.settings, seed, name)
        except ConfigError as error:
            raise ConfigError(
                f"{error} Each of these settings is possible, but not all of them together: add a `when` to one of the keys, or "
                "leave the values out that do not fit."
            ) from error
        place, until = self._place(work), self._until(work)
        if work.parent is None:
            jobs = [Job(name, seed, str(place), config, EPISODES, until=until)]
        else:
            parent = str(trial_folder(self.folder, work.parent, seed))
            jobs = [Job(name, seed, str(place), config, EPISODES, "fork", parent, work.start, until=until)]
        if self.config.probe is not None and until is not None:
            probed = _probe(config, until, self.config.probe.steps)
            probe = str(probe_folder(place, until))
            jobs.append(Job(f"{name}, probe at step {until}", seed, probe, probed, EPISODES, "fork", str(place), until))
        return jobs

    def _outcome(self, work: Work) -> Outcome:
        """The outcome of work whose jobs have ended."""
        run, until = RunDirectory(self._place(work)), self._until(work)
        summary = ended_run(run, until)
        tokens = int(summary.metrics["tokens"])
        before = (work.trial if work.parent is None else work.parent, work.seed, work.start)
        made, read = summary.steps - work.start, tokens - self._tokens.get(before, 0)
        value = value_of(summary, self.metric)
        if self.config.probe is not None and until is not None and summary.status == "interrupted":
            probe = ended_run(RunDirectory(probe_folder(run.path, until)), None)
            value = value_of(probe, self.metric)
            made, read = made + probe.steps - until, read + int(probe.metrics["tokens"]) - tokens
        status = "paused" if summary.status == "interrupted" else summary.status
        return Outcome(status, value, max(made, 0), max(read, 0), tokens, summary.weights_sha256)

    def _confirm(self) -> None:
        """Queue the confirmations at their first turn, and log them in the order of their seeds."""
        best = self.best
        if self._confirming is None:
            self._confirming = confirmation_seeds(self.config)
            for seed in self._confirming:
                if seed not in self.log.confirmations:
                    self._queue(Chain(self._confirmation_jobs(best, seed), seed=seed))
        while self._confirming:
            seed = self._confirming[0]
            row = self.log.confirmations.get(seed)
            outcome = self.confirmed.get(seed) if row is None else _recorded(row)
            if outcome is None:
                return
            self._confirming.pop(0)
            self.confirmed[seed] = outcome
            drop_all_checkpoints(self.folder / "confirmation" / f"seed-{seed}")
            self._write("confirmation", self._words(outcome), trial=best.trial, seed=seed, **vars(outcome))
        drop_all_checkpoints(self.folder / "trials", trial_folder(self.folder, best.trial, self._seed(best.trial, 0)))
        self.complete = True

    def _confirmation_jobs(self, best: Found, seed: int) -> list[Job]:
        """The training of the best settings; for each further part of a lineage a fork."""
        jobs, parts = list[Job](), len(best.lineage)
        for part, (settings, until) in enumerate(best.lineage):
            name = f"confirmation of trial {best.trial}"
            config = run_config(self.config, settings, seed, name)
            place = str(confirmation_folder(self.folder, seed, part, parts))
            if part == 0:
                jobs.append(Job(name, seed, place, config, EPISODES, until=until))
            else:
                at = best.lineage[part - 1][1]
                jobs.append(Job(name, seed, place, config, EPISODES, "fork", jobs[-1].folder, at, until=until))
        return jobs

    def _confirmation(self, chain: Chain) -> Outcome:
        summary = ended_run(RunDirectory(chain.jobs[-1].folder), None)
        value = value_of(summary, self.metric)
        tokens = int(summary.metrics["tokens"])
        return Outcome(summary.status, value, summary.steps, tokens, tokens, summary.weights_sha256)

    @property
    def best(self) -> Found:
        """The best of the whole search. Raises `WorkError` where no trial has a value."""
        best = self.scheduler.best
        if best is None or not math.isfinite(best.value):
            raise WorkError(
                f"No trial of the search in {self.folder} has a finite '{self.metric.name}', so there is nothing to confirm. "
                "Search over other values."
            )
        return best

    # --- counting and keeping -------------------------------------------------------------------------------------------

    def _count(self, work: Work, outcome: Outcome) -> None:
        end = self._steps(work.settings) if work.end is None else work.end
        self.totals.count(work, outcome, end, repetition=work.number in self._same_as)
        best = self.scheduler.best
        if best is not None and math.isfinite(best.value):
            self.totals.see_best(self.clock.now, self._sign * best.value)

    def _keep(self, work: Work) -> None:
        """Remove checkpoints that are not needed: of ended runs that cannot be the best, and all but the newest of others."""
        run, until = self._place(work), self._until(work)
        if until is not None:
            keep_newest(run)
            self._paused[work.trial] = run
            if self.config.probe is not None:
                drop_checkpoints(probe_folder(run, until))
            if self.config.scheduler.name == "population":
                members = self.scheduler.undecided
                for trial in [trial for trial in self._paused if trial not in members]:
                    drop_checkpoints(self._paused.pop(trial))
            return
        if work.seed:
            drop_checkpoints(run)
        else:
            keep_newest(run)
            self._ended[work.trial] = run
        best = self.scheduler.best
        kept = {*self.scheduler.undecided, *([] if best is None else [best.trial])}
        for trial in [trial for trial in self._ended if trial not in kept]:
            drop_checkpoints(self._ended.pop(trial))

    def _words(self, outcome: Outcome) -> str:
        value = f"{self.metric.name} {outcome.value:.6g}"
        return f"{value}, the untrained model's, because the run diverged" if outcome.status == "diverged" else value

    def _write(self, kind: str, reason: str, **values: Any) -> None:
        replayed = self.log.replaying
        row = self.log.write({"kind": kind, "reason": reason, "clock": self.clock.now, **values})
        if not replayed:
            self._on_row(row)

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.decision_seconds += time.perf_counter() - began

    def _cost(self, work: Work) -> float:
        """Planned steps, those of the probe included."""
        steps = self._steps(work.settings)
        end = steps if work.end is None else work.end
        probed = self.config.probe is not None and end < steps
        return end - work.start + (self.config.probe.steps if probed and self.config.probe is not None else 0)

    def _steps(self, settings: Settings) -> int:
        return int(settings.get("episode.steps", self.config.run.episode.steps))

    def _seed(self, trial: int, number: int) -> int:
        return trial_seed(self.config, self._seeds.get(trial, trial), number)

    def _place(self, work: Work) -> Path:
        return trial_folder(self.folder, work.trial, self._seed(work.trial, work.seed))


def _recorded(row: dict[str, Any]) -> Outcome:
    return Outcome(row["status"], row["value"], row["steps"], row["tokens"], row["run_tokens"], row["weights_sha256"])


def _probe(config: RunConfig, at: int, steps: int) -> RunConfig:
    """The config of a fork at a step whose rate falls to 0 within some steps."""
    schedule = config.episode.schedule.spec
    whole = at + steps
    falling = {"name": "wsd", "warmup": schedule["warmup"], "decay": steps / whole, "final": 0.0}
    episode = {**config.episode.model_dump(mode="json"), "steps": whole, "schedule": falling}
    return resolve_config({**config.model_dump(mode="json"), "episode": episode}, source="the probe")
