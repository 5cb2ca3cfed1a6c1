"""An experiment in a folder: its episodes, its progress, its verdicts."""

from pathlib import Path
from typing import Any

from trimtab.config import TrimtabError, WorkError, allowing_code
from trimtab.config.permission import dotted_paths, hub_ids
from trimtab.experiments.design import episode_jobs
from trimtab.experiments.directory import ExperimentDirectory, check_usable, reserve
from trimtab.experiments.executor import Result, Schedule, find_executor, run_jobs
from trimtab.experiments.findings import intervention_jobs, write_detections, write_interventions
from trimtab.experiments.jobs import Job
from trimtab.experiments.noise import noise_floors, noise_jobs
from trimtab.experiments.preflight import preflight
from trimtab.experiments.progress import ExperimentLog, RunOptions
from trimtab.experiments.reading import finished
from trimtab.experiments.spec import Experiment
from trimtab.experiments.tuning import tuned, tuning_jobs
from trimtab.experiments.verdicts.missing import failed_episodes, with_missing
from trimtab.experiments.verdicts.verdict_metrics import Judged, sequential_results, verdicts
from trimtab.records.experiment_files import VERDICTS
from trimtab.records.lock import RunLock


def run_experiment(experiment: Experiment, out: Path | str, options: RunOptions = RunOptions()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Run an experiment into `out`, or continue the one there; returns status and verdicts.

    A finished episode is reused if its config, data, code and environment are unchanged. An interrupted experiment is not
    judged: a verdict on part of the planned pairs would be an additional test (optional stopping). `planned` checks whether
    this number of pairs can confirm the claim. Code (by dotted path) and hub ids named by the experiment itself are trusted;
    records of its episodes that name any others are refused. Raises `RunError` when `out` holds another experiment,
    `ConfigError` when the preflight check fails.
    """
    folder = ExperimentDirectory(out)
    check_usable(folder, experiment)
    find_executor(options.executor_name)
    preflight(folder, experiment)
    reserve(folder, experiment, options.command)
    named = experiment.model_dump()
    with allowing_code(names=[*dotted_paths(named), *hub_ids(named)]), RunLock(folder.path / ".lock"):
        log = ExperimentLog(folder, options)
        status, experiment = _phases(folder, experiment, options, log)
        try:
            judged_pairs = [] if status == "interrupted" else conclude(folder, experiment)
        except TrimtabError:
            log.end("failed")
            raise
        log.end(status)
    return {
        "status": status,
        "folder": str(folder.path),
        "verdicts": [judged.record.model_dump() for judged in judged_pairs],
        "failed": failed_episodes(folder),
    }


def _phases(
    folder: ExperimentDirectory, experiment: Experiment, options: RunOptions, log: ExperimentLog
) -> tuple[str, Experiment]:
    """Run the phases in order. Returns the overall status and the experiment with the settings of its tuned arms.

    The status is `failed` if episodes failed, `interrupted` if the experiment was stopped, else `completed`.
    """
    status = _run("tuning", folder, tuning_jobs(folder, experiment), options, log)
    if status != "completed":
        return status, experiment
    experiment = tuned(folder, experiment)
    if experiment.sequential:
        status = _sequential(folder, experiment, options, log)
    else:
        status = _run("episodes", folder, list(episode_jobs(folder, experiment, experiment.seed_list)), options, log)
    for stage, further in (("noise floor", noise_jobs), ("interventions", intervention_jobs)):
        if status != "interrupted":
            after = _run(stage, folder, further(folder, experiment), options, log)
            status = status if after == "completed" else after
    return status, experiment


def _run(stage: str, folder: ExperimentDirectory, jobs: list[Job], options: RunOptions, log: ExperimentLog) -> str:
    statuses: list[str] = []
    log.begin_stage(stage, jobs)

    def on_result(job: Job, result: Result) -> None:
        statuses.append(result["status"])
        log.on_result(job, result)

    if jobs:
        make = find_executor(options.executor_name)
        executor = make(min(options.workers, len(jobs)), folder.log_path, log.on_job_event)
        run_jobs(Schedule(jobs), executor, on_result, options.stop)
    if options.stop() is not None or "interrupted" in statuses:
        return "interrupted"
    return "failed" if "failed" in statuses else "completed"


def _sequential(folder: ExperimentDirectory, experiment: Experiment, options: RunOptions, log: ExperimentLog) -> str:
    """Run one pair at a time until every treatment is decided or `budget.pairs` is used up."""
    seeds = experiment.seed_list[: experiment.budget.pairs]
    for count, seed in enumerate(seeds, 1):
        status = _run(f"pair {count}", folder, list(episode_jobs(folder, experiment, [seed])), options, log)
        if status != "completed":
            return status
        results = sequential_results(experiment, finished(folder, experiment))
        if all(result.conclusion != "continue" for result in results.values()):
            log.message(f"Decided after {count} pairs.")
            break
    return "completed"


def conclude(folder: ExperimentDirectory, experiment: Experiment) -> list[Judged]:
    """Judge the finished episodes and write `verdicts.json`. Arms whose episodes failed do not keep the others from being judged.

    Returns [] until the baseline and at least one treatment have a finished episode. Arms without a pair still count in Holm's
    correction, so a later success of theirs does not overturn a verdict given now. Raises `WorkError` if no pair is complete.
    """
    episodes = finished(folder, experiment)
    arms = {episode.arm for episode in episodes}
    if experiment.baseline_arm not in arms or not arms.intersection(experiment.treatments):
        return []
    judged_pairs = with_missing(folder, experiment, verdicts(experiment, episodes, noise_floors(folder, experiment)))
    if not judged_pairs:
        failed = failed_episodes(folder)
        why = (
            f" {len(failed)} episodes failed, the first ({failed[0]['episode']}) because: {failed[0]['error']}"
            if failed
            else ""
        )
        raise WorkError(f"No pair of {folder.path} is complete, so there is nothing to compare.{why}")
    folder.write(VERDICTS, [judged.record for judged in judged_pairs])
    write_detections(folder, experiment)
    write_interventions(folder, experiment)
    return judged_pairs
