"""An experiment in a folder: its episodes, its progress, its verdicts."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trimtab import __version__
from trimtab.config import RunError, WorkError, config_hash
from trimtab.evidence import plan
from trimtab.experiments.executor import Answer, run_inline, run_processes
from trimtab.experiments.jobs import SAME_AS, Job
from trimtab.experiments.measures import Episode, Judged, figures_of, sequential_decisions, verdicts
from trimtab.experiments.spec import Experiment
from trimtab.records import RunDirectory, git_state, now, to_json
from trimtab.records.atomic import write_json, write_text
from trimtab.records.lock import RunLock

Say = Callable[[str], None]


@dataclass(frozen=True)
class Means:
    """How an experiment is run: worker processes (0: in this process), a way to ask for a stop, where to say what happens."""

    workers: int = 0
    stop: Callable[[], str | None] = lambda: None
    say: Say = print
    command: tuple[str, ...] = ()


class ExperimentDirectory:
    """The files of one experiment under `path`. Constructing one touches nothing."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.spec_path = self.path / "experiment.yaml"
        self.progress_path = self.path / "experiment.json"
        self.verdicts_path = self.path / "verdicts.json"
        self.log_path = self.path / "workers.log"

    def episode(self, arm: str, seed: int, cell: dict[str, Any]) -> Path:
        """The folder of an episode."""
        parts = [f"{key.rsplit('.', 1)[-1]}-{value}" for key, value in cell.items()]
        return self.path.joinpath("episodes", arm, f"seed-{seed}", *parts)

    def progress(self) -> dict[str, Any]:
        """The manifest and progress. Raises `RunError` when it is damaged."""
        try:
            found: dict[str, Any] = json.loads(self.progress_path.read_bytes())
        except (OSError, ValueError) as error:
            raise RunError(f"{self.progress_path} cannot be read ({error}). Is {self.path} an experiment?") from error
        return found


def run_experiment(experiment: Experiment, out: Path | str, means: Means = Means()) -> dict[str, Any]:
    """Run an experiment into `out`, or go on with the one there; returns status and verdicts.

    Finished episodes are taken as they are when nothing that decides them has changed. An interrupted experiment is not
    judged: a look before the planned pairs are in would be another test. Raises `RunError` when `out` holds another
    experiment. Whether so many pairs can show what is claimed, `planned` says.
    """
    folder = ExperimentDirectory(out)
    _reserve(folder, experiment, means)
    with RunLock(folder.path / ".lock"):
        progress = Progress(folder, experiment, means)
        if experiment.sequential:
            status = _sequential(folder, experiment, means, progress)
        else:
            status = _run(folder, list(_jobs(folder, experiment, experiment.seed_list)), means, progress)
        found = [] if status == "interrupted" else conclude(folder, experiment)
        progress.end(status)
    return {"status": status, "folder": str(folder.path), "verdicts": [judged.as_dict() for judged in found]}


def planned(experiment: Experiment) -> str:
    """What the experiment's pairs can show, as text. Raises `ConfigError` when they cannot show what is claimed."""
    pairs = len(experiment.seed_list) if experiment.budget.pairs is None else experiment.budget.pairs
    return plan(pairs, len(experiment.treatments), alpha=experiment.claim.alpha, margin=experiment.claim.margin)


def _reserve(folder: ExperimentDirectory, experiment: Experiment, means: Means) -> None:
    spec = experiment.model_dump(mode="json")
    if folder.progress_path.exists():
        then = folder.progress()
        if then["spec_hash"] != config_hash(spec):
            raise RunError(
                f"{folder.path} holds another experiment ('{then['question']}', or this one with another spec). Choose "
                f"another --out, or run the spec that is in {folder.spec_path}."
            )
        return
    if folder.path.exists() and any(entry.name != ".lock" for entry in folder.path.iterdir()):
        raise RunError(
            f"{folder.path} is not empty, and an experiment needs a folder of its own. Choose another --out."
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    plain = {key: value for key, value in spec.items() if key != "base"} | spec["base"]
    write_text(folder.spec_path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    commit, dirty = git_state(Path(__file__).parent)
    write_json(
        folder.progress_path,
        {
            "question": experiment.question,
            "spec_hash": config_hash(spec),
            "created_at": now(),
            "trimtab": __version__,
            "git_commit": commit,
            "git_dirty": dirty,
            "command": list(means.command),
            "status": "running",
            "episodes": {},
            "events": [],
        },
    )


class Progress:
    """`experiment.json`, kept up to date, and what is said while it goes on."""

    def __init__(self, folder: ExperimentDirectory, experiment: Experiment, means: Means) -> None:
        self.folder, self.means = folder, means
        self.content = folder.progress()
        self.total = len(experiment.arms) * len(experiment.cells) * len(experiment.seed_list)
        self.done = 0

    def told(self, job: Job, answer: Answer) -> None:
        """An episode was answered for."""
        name = os.path.relpath(job.folder, self.folder.path)
        if answer["status"] in ("lost", "failed"):
            self.content["events"].append({"time": now(), "episode": name, **answer})
        if answer["status"] != "lost":
            saved = self.content["episodes"].get(name, {}).get("saved_steps", 0)
            self.content["episodes"][name] = {
                "status": answer["status"],
                "saved_steps": answer.get("saved_steps", saved),
            }
            self.done += 1
        self._write()
        self.means.say(f"[{self.done}/{self.total}] {job.name}: {self._account(job, answer)}")

    def _account(self, job: Job, answer: Answer) -> str:
        if "error" in answer:
            return f"{answer['status']}: {answer['error']}"
        summary = RunDirectory(job.folder).summary()
        loss = "" if summary is None else f", validation loss {float(summary.metrics['val_loss']):.4f}"
        again = " (found done)" if answer.get("reused") else ""
        return f"{answer['status']}{loss}{again}"

    def end(self, status: str) -> None:
        """The experiment has ended, for now or for good."""
        self.content |= {"status": status, "ended_at": now()}
        self._write()

    def _write(self) -> None:
        write_json(self.folder.progress_path, to_json(self.content))


def _jobs(folder: ExperimentDirectory, experiment: Experiment, seeds: list[int]) -> Iterator[Job]:
    """The episodes, seed by seed, the baseline's first."""
    base = experiment.baseline_arm
    for seed in seeds:
        for arm in [base, *experiment.treatments]:
            for cell in experiment.cells:
                place = folder.episode(arm, seed, cell)
                config = experiment.config(arm, seed, cell).model_dump(mode="json")
                if arm == base or experiment.pairing.name == "seed":
                    yield Job(arm, seed, str(place), config, cell=cell)
                else:
                    parent = str(folder.episode(base, seed, cell))
                    kind, at = experiment.pairing.name, experiment.pairing.at
                    yield Job(arm, seed, str(place), config, kind, parent, at, cell)


def _run(folder: ExperimentDirectory, jobs: list[Job], means: Means, progress: Progress) -> str:
    statuses: list[str] = []

    def told(job: Job, answer: Answer) -> None:
        statuses.append(answer["status"])
        progress.told(job, answer)

    if means.workers:
        run_processes(jobs, means.workers, told, means.stop, folder.log_path)
    else:
        run_inline(jobs, told, means.stop)
    if means.stop() is not None or "interrupted" in statuses:
        return "interrupted"
    return "failed" if "failed" in statuses else "completed"


def _sequential(folder: ExperimentDirectory, experiment: Experiment, means: Means, progress: Progress) -> str:
    """Buy pairs one at a time until every treatment is decided or the budget ends."""
    seeds = experiment.seed_list[: experiment.budget.pairs]
    for count, seed in enumerate(seeds, 1):
        status = _run(folder, list(_jobs(folder, experiment, [seed])), means, progress)
        if status != "completed":
            return status
        decisions = sequential_decisions(experiment, finished(folder, experiment))
        if all(decision.decision != "go on" for decision in decisions.values()):
            means.say(f"Decided after {count} pairs.")
            break
    return "completed"


def finished(folder: ExperimentDirectory, experiment: Experiment) -> list[Episode]:
    """The episodes that have ended, from the records alone."""
    found = []
    base = experiment.baseline_arm
    for seed in experiment.seed_list:
        for arm in experiment.arms:
            for cell in experiment.cells:
                place = folder.episode(arm, seed, cell)
                same = (place / SAME_AS).exists()
                run = RunDirectory(folder.episode(base, seed, cell) if same else place)
                summary = run.summary() if run.exists() else None
                if summary is None or summary.status == "interrupted":
                    continue
                figures = figures_of(summary)
                found.append(Episode(arm, seed, tuple(cell.values()), summary.status, figures, same))
    return found


def conclude(folder: ExperimentDirectory, experiment: Experiment) -> list[Judged]:
    """Judge what has ended and write `verdicts.json`; no verdicts before every arm has a pair."""
    episodes = finished(folder, experiment)
    if {episode.arm for episode in episodes} < set(experiment.arms):
        return []
    found = verdicts(experiment, episodes)
    if not found:
        raise WorkError(f"No pair of {folder.path} is complete, so there is nothing to compare.")
    write_json(folder.verdicts_path, to_json([judged.as_dict() for judged in found]))
    return found
