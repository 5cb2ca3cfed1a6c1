"""A search as a schedule of jobs: what its scheduler asks for, in the order of the virtual clock."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.config import WorkError, canonical_json
from trimtab.experiments.executor import Result, Schedule
from trimtab.experiments.jobs import Job
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.log import SearchLog
from trimtab.experiments.searching.parts import (
    metric_of,
    optimizer_of,
    scheduler_of,
)
from trimtab.experiments.searching.recorded import recorded_of
from trimtab.experiments.searching.runs import Runs, steps_of, until_of
from trimtab.experiments.searching.totals import Totals
from trimtab.experiments.searching.trained import TrainedRuns
from trimtab.experiments.searching.values import Outcome
from trimtab.search.clock import VirtualClock
from trimtab.search.scheduler import Found, Work


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
        self.runs: Runs = recorded_of(config) or TrainedRuns(config, folder, self.metric)
        self.scheduler = scheduler_of(config, optimizer_of(config, self.runs.space))
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
        self._confirming: list[int] | None = None
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
            self.outcomes[chain.work.number] = self.runs.outcome(chain.work)
        else:
            self.confirmed[chain.seed] = self.runs.confirmation(self.best, chain.seed)
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
            if work.seed == 0:
                self.weights[work.trial] = outcome.weights_sha256
            self._count(work, outcome)
            self._write("result", self._words(outcome), work=work.number, trial=work.trial, **vars(outcome))
            self.runs.took(work, outcome, self.scheduler)
        self._confirm()
        self.log.flush()

    def _told(self, work: Work, outcome: Outcome) -> float:
        """The value for the scheduler: smaller is better. A member of a population that ended before its pause has none."""
        ended = until_of(self.config, work) is not None and outcome.status != "paused"
        if ended and self.config.scheduler.name == "population":
            return math.inf
        return self._sign * outcome.value

    def _known(self, work: Work) -> Outcome | None:
        """The outcome of some work, as soon as it is known."""
        if (row := self.log.results.get(work.number)) is not None:
            return _logged(row)
        earlier = self._same_as.get(work.number)
        if earlier is None:
            return self.outcomes.get(work.number)
        known = self.outcomes.get(earlier)
        return known and Outcome(known.status, known.value, 0, 0, known.run_tokens, known.weights_sha256)

    def _begin(self, work: Work) -> None:
        """Log that some work is given out, and queue its jobs unless its result is recorded."""
        seed = self.runs.seed(work)
        if work.start == 0 and work.end is None:
            key = canonical_json([work.settings, seed])
            if (earlier := self._same.setdefault(key, work.number)) != work.number:
                self._same_as[work.number] = earlier
        made = work.number not in self.log.results and work.number not in self._same_as
        jobs = self.runs.jobs(work) if made else []  # before the row, because it may refuse the settings
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
        if jobs:
            self._queue(Chain(jobs, work))
        elif made:
            self.outcomes[work.number] = self.runs.outcome(work)

    def _confirm(self) -> None:
        """Queue the confirmations at their first turn, and log them in the order of their seeds."""
        best = self.best
        if self._confirming is None:
            self._confirming = self.runs.confirmation_seeds()
            for seed in self._confirming:
                if seed in self.log.confirmations:
                    continue
                if jobs := self.runs.confirmation_jobs(best, seed):
                    self._queue(Chain(jobs, seed=seed))
                else:
                    self.confirmed[seed] = self.runs.confirmation(best, seed)
        while self._confirming:
            seed = self._confirming[0]
            row = self.log.confirmations.get(seed)
            outcome = self.confirmed.get(seed) if row is None else _logged(row)
            if outcome is None:
                return
            self._confirming.pop(0)
            self.confirmed[seed] = outcome
            self.runs.took_confirmation(seed)
            self._write("confirmation", self._words(outcome), trial=best.trial, seed=seed, **vars(outcome))
        self.runs.end(best)
        self.complete = True

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
        end = steps_of(self.config, work.settings) if work.end is None else work.end
        self.totals.count(work, outcome, end, repetition=work.number in self._same_as)
        best = self.scheduler.best
        if best is not None and math.isfinite(best.value):
            self.totals.see_best(self.clock.now, self._sign * best.value)

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
        steps = steps_of(self.config, work.settings)
        end = steps if work.end is None else work.end
        probed = self.config.probe is not None and end < steps
        return end - work.start + (self.config.probe.steps if probed and self.config.probe is not None else 0)


def _logged(row: dict[str, Any]) -> Outcome:
    return Outcome(row["status"], row["value"], row["steps"], row["tokens"], row["run_tokens"], row["weights_sha256"])
