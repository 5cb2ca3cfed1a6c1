"""Runs that a search trains: their jobs, their outcomes, and which of their checkpoints are kept."""

from pathlib import Path

from trimtab.config import ConfigError
from trimtab.experiments.jobs import Job
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.parts import confirmation_seeds, run_config, space_of, trial_seed
from trimtab.experiments.searching.places import (
    confirmation_folder,
    drop_all_checkpoints,
    drop_checkpoints,
    keep_newest,
    probe_folder,
    trial_folder,
)
from trimtab.experiments.searching.runs import until_of
from trimtab.experiments.searching.values import Outcome, ended_run, value_of
from trimtab.records import RunDirectory
from trimtab.records.metrics import Metric
from trimtab.search.scheduler import Found, Scheduler, Work
from trimtab.training.config import RunConfig, resolve_config

EPISODES = "training"
"""The kind of the runs."""


class TrainedRuns:
    """The runs of a search in its folder."""

    def __init__(self, config: SearchConfig, folder: Path, metric: Metric) -> None:
        self.config, self.folder, self.metric = config, folder, metric
        self.space = space_of(config)
        self._seeds: dict[int, int] = {}
        """The trial whose seeds the forks of a population have."""
        self._tokens: dict[tuple[int, int, int], int] = {}
        """The tokens that a trial's run with a seed number had read at a pause."""
        self._paused: dict[int, Path] = {}
        """The run of each trial that has paused."""
        self._ended: dict[int, Path] = {}
        """The first run of each trial that has ended and has its checkpoints."""

    def seed(self, work: Work) -> int:
        """The seed of some work's run; a fork has that of its parent."""
        if work.parent is not None and work.trial not in self._seeds:
            self._seeds[work.trial] = self._seeds.get(work.parent, work.parent)
        return self._seed(work.trial, work.seed)

    def jobs(self, work: Work) -> list[Job]:
        """The run, and the probe where it pauses before its end."""
        name, seed = f"trial {work.trial}", self.seed(work)
        try:
            config = run_config(self.config, work.settings, seed, name)
        except ConfigError as error:
            raise ConfigError(
                f"{error} Each of these settings is possible, but not all of them together: add a `when` to one of the keys, or "
                "leave the values out that do not fit."
            ) from error
        place, until = self._place(work), until_of(self.config, work)
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

    def outcome(self, work: Work) -> Outcome:
        """The outcome of work whose jobs have ended."""
        run, until = RunDirectory(self._place(work)), until_of(self.config, work)
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

    def took(self, work: Work, outcome: Outcome, scheduler: Scheduler) -> None:
        """Note the tokens at a pause, and remove checkpoints that are not needed."""
        if work.end is not None:
            self._tokens[work.trial, work.seed, work.end] = outcome.run_tokens
        self._keep(work, scheduler)

    def _keep(self, work: Work, scheduler: Scheduler) -> None:
        """Remove checkpoints that are not needed: of ended runs that cannot be the best, and all but the newest of others."""
        run, until = self._place(work), until_of(self.config, work)
        if until is not None:
            keep_newest(run)
            self._paused[work.trial] = run
            if self.config.probe is not None:
                drop_checkpoints(probe_folder(run, until))
            if self.config.scheduler.name == "population":
                members = scheduler.undecided
                for trial in [trial for trial in self._paused if trial not in members]:
                    drop_checkpoints(self._paused.pop(trial))
            return
        if work.seed:
            drop_checkpoints(run)
        else:
            keep_newest(run)
            self._ended[work.trial] = run
        best = scheduler.best
        kept = {*scheduler.undecided, *([] if best is None else [best.trial])}
        for trial in [trial for trial in self._ended if trial not in kept]:
            drop_checkpoints(self._ended.pop(trial))

    def confirmation_seeds(self) -> list[int]:
        """Seeds that no trial has."""
        return confirmation_seeds(self.config)

    def confirmation_jobs(self, best: Found, seed: int) -> list[Job]:
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

    def confirmation(self, best: Found, seed: int) -> Outcome:
        """The outcome of the best settings with a fresh seed, whose jobs have ended."""
        parts = len(best.lineage)
        summary = ended_run(RunDirectory(confirmation_folder(self.folder, seed, parts - 1, parts)), None)
        tokens = int(summary.metrics["tokens"])
        value = value_of(summary, self.metric)
        return Outcome(summary.status, value, summary.steps, tokens, tokens, summary.weights_sha256)

    def took_confirmation(self, seed: int) -> None:
        """Remove the checkpoints of a confirmation."""
        drop_all_checkpoints(self.folder / "confirmation" / f"seed-{seed}")

    def end(self, best: Found) -> None:
        """Remove all checkpoints but those of the best trial's first run."""
        kept = trial_folder(self.folder, best.trial, self._seed(best.trial, 0))
        drop_all_checkpoints(self.folder / "trials", kept)

    def _seed(self, trial: int, number: int) -> int:
        return trial_seed(self.config, self._seeds.get(trial, trial), number)

    def _place(self, work: Work) -> Path:
        return trial_folder(self.folder, work.trial, self.seed(work))


def _probe(config: RunConfig, at: int, steps: int) -> RunConfig:
    """The config of a fork at a step whose rate falls to 0 within some steps."""
    schedule = config.episode.schedule.spec
    whole = at + steps
    falling = {"name": "wsd", "warmup": schedule["warmup"], "decay": steps / whole, "final": 0.0}
    episode = {**config.episode.model_dump(mode="json"), "steps": whole, "schedule": falling}
    return resolve_config({**config.model_dump(mode="json"), "episode": episode}, source="the probe")
