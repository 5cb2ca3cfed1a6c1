"""What an experiment's records say besides its verdicts: detections of injected faults, effects of single interventions."""

import math
from dataclasses import replace
from typing import Any

from trimtab.errors import RunError
from trimtab.evidence import clustered_interval
from trimtab.experiments.detection import score
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.interventions import read_effects
from trimtab.experiments.jobs import Job
from trimtab.experiments.reading import run_of
from trimtab.experiments.spec import Experiment
from trimtab.records import RunDirectory
from trimtab.records.experiment_files import (
    DETECTION,
    EFFECTS,
    INTERVENTIONS,
    DetectionRecord,
    InterventionRecord,
    InterventionsRecord,
    MeanEffect,
)


def intervention_jobs(folder: ExperimentDirectory, experiment: Experiment) -> list[Job]:
    """The jobs that measure the interventions of every finished episode whose controller acted."""
    plan, jobs = experiment.interventions, []
    if plan is None:
        return []
    for arm in experiment.steered_arms:
        for seed in experiment.seed_list:
            for cell in experiment.cells:
                run, same = run_of(folder, experiment, arm, seed, cell)
                if same or not run.exists() or run.summary() is None:
                    continue
                place, options = folder.interventions(arm, seed, cell), plan.model_dump()
                job = Job(
                    f"interventions of {arm}", seed, str(place), {}, experiment.episodes, "interventions", str(run.path)
                )
                jobs.append(replace(job, cell=cell, options=options))
    return jobs


def write_detections(folder: ExperimentDirectory, experiment: Experiment) -> None:
    """Score the decisions of every controlled episode against the injected faults, into `detection.json`, if there are faults."""
    if not experiment.base.get("faults"):
        return
    detections = []
    for arm in experiment.steered_arms:
        for seed in experiment.seed_list:
            for cell in experiment.cells:
                run, same = run_of(folder, experiment, arm, seed, cell)
                if run.exists() and run.summary() is not None:
                    scored = score(whole_rows(run), [] if same else run.events())
                    detections.append(DetectionRecord(arm=arm, seed=seed, cell=cell, **vars(scored)))
    folder.write(DETECTION, detections)


def whole_rows(run: RunDirectory) -> list[dict[str, Any]]:
    """The rows of a run; for a fork, after those of its parent up to the step of the fork."""
    parent, rows = run.manifest().parent, run.steps()
    if parent is None:
        return rows
    before = whole_rows(RunDirectory(parent.path))
    return [row for row in before if row["step"] <= parent.step] + rows


def write_interventions(folder: ExperimentDirectory, experiment: Experiment) -> None:
    """Write the effects of all episodes to `interventions.json`, with an interval for each arm, clustered by run."""
    if experiment.interventions is None:
        return
    interventions: list[InterventionRecord] = []
    decisions = 0
    for arm in experiment.steered_arms:
        for seed in experiment.seed_list:
            for cell in experiment.cells:
                path = folder.interventions(arm, seed, cell) / EFFECTS
                if not path.exists():
                    continue
                measured = read_effects(path)
                decisions += measured.decisions
                interventions += [
                    InterventionRecord(arm=arm, seed=seed, cell=cell, **one.model_dump())
                    for one in measured.interventions
                ]
    effects = [
        _summed(interventions, arm, metric) for arm in experiment.steered_arms for metric in ("train_loss", "val_loss")
    ]
    record = InterventionsRecord(
        horizon=experiment.interventions.steps,
        decisions=decisions,
        interventions=interventions,
        effects=[effect for effect in effects if effect is not None],
    )
    folder.write(INTERVENTIONS, record)


def _summed(interventions: list[InterventionRecord], arm: str, metric: str) -> MeanEffect | None:
    own = [one for one in interventions if one.arm == arm]
    if not own:
        return None
    if without := [one for one in own if metric not in one.effect]:
        raise RunError(
            f"The measured effects are damaged: that of the {without[0].kind} at step {without[0].step} of the arm '{arm}', seed "
            f"{without[0].seed}, has no {metric}. Remove the {EFFECTS} of that episode and run the experiment again."
        )
    values = [float(one.effect[metric]) for one in own]
    effect = clustered_interval(values, [one.seed for one in own])
    low, high = effect.interval or (-math.inf, math.inf)  # of one run, the variation between runs is unknown
    return MeanEffect(
        arm=arm,
        metric=metric,
        mean=effect.mean,
        low=low,
        high=high,
        level=effect.level,
        runs=effect.clusters,
        interventions=effect.effects,
        note=effect.note,
    )
