"""Choosing the settings of an arm before the experiment, with no more compute than one of its arms has."""

from pathlib import Path
from typing import Any

import numpy as np

from trimtab.config import RunError
from trimtab.evidence.arrays import mean
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.jobs import Job
from trimtab.experiments.reading import EpisodeResult
from trimtab.experiments.spec import Experiment
from trimtab.experiments.verdicts.capping import capped_values, metric_named, worst_of
from trimtab.records import RunDirectory
from trimtab.records.experiment_files import TUNING, TunedArm, TuningRecord, TuningRun


def tuning_jobs(folder: ExperimentDirectory, experiment: Experiment) -> list[Job]:
    """Every candidate of every tuned arm, on the tuning seeds."""
    jobs = []
    for arm, tune in experiment.tune.items():
        for number, candidate in enumerate(tune.candidates):
            tried = with_settings(experiment, arm, candidate)
            for seed in tune.seeds:
                config = tried.config(arm, seed, {})
                place = str(folder.tuning(arm, number, seed))
                jobs.append(Job(f"{arm} {candidate}", seed, place, config, experiment.episodes))
    return jobs


def with_settings(experiment: Experiment, arm: str, settings: dict[str, Any]) -> Experiment:
    """The experiment with further overrides of an arm."""
    return experiment.model_copy(update={"arms": {**experiment.arms, arm: {**experiment.arms[arm], **settings}}})


def tuned(folder: ExperimentDirectory, experiment: Experiment) -> Experiment:
    """The experiment with each tuned arm at its best candidate; `tuning.json` lists every candidate.

    The best has the best mean of the claimed metric over the tuning seeds, with a diverged run's loss capped at the untrained
    model's; the first of equals. Raises `RunError` when a run did not end.
    """
    tuning: dict[str, TunedArm] = {}
    for arm, tune in experiment.tune.items():
        runs, means, steps = [], [], 0
        metric = metric_named(experiment, experiment.claim.metric)
        tried = [
            [_episode(folder.tuning(arm, number, seed), arm, seed) for seed in tune.seeds]
            for number in range(len(tune.candidates))
        ]
        worst = worst_of([episode for episodes in tried for episode in episodes], metric)
        for candidate, episodes in zip(tune.candidates, tried, strict=True):
            values = capped_values(episodes, metric, worst=worst).values
            means.append(mean(values))
            steps += sum(episode.steps for episode in episodes)
            runs += [
                TuningRun(overrides=candidate, seed=episode.seed, status=episode.status, value=value)
                for episode, value in zip(episodes, values.tolist(), strict=True)
            ]
        best = int(np.argmax(means) if metric.higher_is_better else np.argmin(means))
        chosen = tune.candidates[best]
        tuning[arm] = TunedArm(over=tune.over, metric=metric.name, runs=runs, chosen=chosen, steps=steps)
        experiment = with_settings(experiment, arm, chosen)
    if tuning:
        folder.write(TUNING, TuningRecord(arms=tuning))
    return experiment


def _episode(place: Path, arm: str, seed: int) -> EpisodeResult:
    episode = EpisodeResult.read(RunDirectory(place), arm, seed, {})
    if episode is None:
        raise RunError(
            f"The tuning run in {place} did not end, so the arm '{arm}' has no settings. Run the experiment again."
        )
    return episode
