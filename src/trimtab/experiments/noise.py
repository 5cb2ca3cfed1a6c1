"""The noise floor of an experiment: its baseline against itself under another dropout draw, paired as the arms are."""

import statistics

from trimtab.evidence import noise_floor, paired_differences
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.jobs import Job
from trimtab.experiments.reading import EpisodeResult, finished
from trimtab.experiments.spec import Experiment
from trimtab.experiments.verdicts.verdict_metrics import metric_table
from trimtab.records import RunDirectory
from trimtab.records.experiment_files import NOISE_FLOOR, NoiseFloorRecord

COPY = "the baseline again"


def noise_jobs(folder: ExperimentDirectory, experiment: Experiment) -> list[Job]:
    """The baseline's copies, for the first seeds of the experiment.

    With forks, a copy starts at the step at which the arms do. With lazy forks, it starts at the median step of the arms' forks
    (their episodes have ended), or at half of the steps if no arm was forked.
    """
    if not experiment.noise_floor:
        return []
    base, at = experiment.baseline_arm, _parting(folder, experiment)
    copy = experiment.model_copy(update={"arms": {COPY: {**experiment.arms[base], "episode.dropout_draw": 1}}})
    jobs = []
    for seed in experiment.seed_list[: experiment.noise_floor]:
        for cell in experiment.cells:
            config = copy.config(COPY, seed, cell)
            place, parent = str(folder.noise(seed, cell)), str(folder.episode(base, seed, cell))
            if at is None:
                jobs.append(Job(COPY, seed, place, config, experiment.episodes, cell=cell))
            else:
                jobs.append(Job(COPY, seed, place, config, experiment.episodes, "fork", parent, at, cell))
    return jobs


def _parting(folder: ExperimentDirectory, experiment: Experiment) -> int | None:
    pairing = experiment.pairing
    if pairing.name != "lazy_fork":
        return pairing.at
    starts = []
    for arm in experiment.treatments:
        for seed in experiment.seed_list:
            for cell in experiment.cells:
                run = RunDirectory(folder.episode(arm, seed, cell))
                if run.exists() and not experiment.runs_alone(arm):
                    parent = run.manifest().parent
                    starts.append(0 if parent is None else parent.step)
    steps = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0]).episode.steps
    return max(1, round(statistics.median(starts) if starts else steps / 2))


def noise_floors(folder: ExperimentDirectory, experiment: Experiment) -> dict[str, float]:
    """The SD of the paired A/A differences by metric, the claimed one's on the claim's scale; also into `noise_floor.json`.

    Empty where fewer than two copies have ended, and where the copies are identical because the model draws no dropout.
    """
    base = experiment.baseline_arm
    episodes = [episode for episode in finished(folder, experiment) if episode.arm == base]
    episodes += _copies(folder, experiment)
    view = experiment.model_copy(update={"arms": {base: {}, COPY: {}}, "baseline": base})
    floors: dict[str, float] = {}
    differences: dict[str, list[float]] = {}
    for metric in dict.fromkeys((experiment.claim.metric, *experiment.metrics.explored)):
        if metric != "sensitivity" and not all(metric in episode.figures for episode in episodes):
            continue
        table = metric_table(view, episodes, metric).values
        seeds = [seed for seed in table.get(COPY, {}) if seed in table.get(base, {})]
        scale = experiment.claim.scale if metric == experiment.claim.metric else "plain"
        if len(seeds) < 2:
            continue
        pairs = paired_differences([table[base][s] for s in seeds], [table[COPY][s] for s in seeds], scale).tolist()
        if not any(pairs):
            continue
        floors[metric], differences[metric] = noise_floor(pairs), pairs
    claimed = experiment.claim.metric
    if claimed in floors:
        record = NoiseFloorRecord(
            metric=claimed,
            pairing=experiment.pairing.name,
            at=_parting(folder, experiment),
            pairs=len(differences[claimed]),
            noise_floor=floors[claimed],
            differences=differences[claimed],
            floors=floors,
        )
        folder.write(NOISE_FLOOR, record)
    return floors


def _copies(folder: ExperimentDirectory, experiment: Experiment) -> list[EpisodeResult]:
    copies, failed = [], folder.failures()
    for seed in experiment.seed_list[: experiment.noise_floor]:
        for cell in experiment.cells:
            if folder.name(folder.noise(seed, cell)) in failed:
                continue
            episode = EpisodeResult.read(RunDirectory(folder.noise(seed, cell)), COPY, seed, cell)
            if episode is not None:
                copies.append(episode)
    return copies
