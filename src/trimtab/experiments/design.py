"""The episodes that an experiment's design asks for, as jobs."""

from collections.abc import Iterator

from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.jobs import Job, Kind
from trimtab.experiments.spec import Experiment


def episode_jobs(folder: ExperimentDirectory, experiment: Experiment, seeds: list[int]) -> Iterator[Job]:
    """The episodes, seed by seed, the baseline's first."""
    base = experiment.baseline_arm
    for seed in seeds:
        for arm in [base, *experiment.treatments]:
            for cell in experiment.cells:
                place = folder.episode(arm, seed, cell)
                config = experiment.episode_config(arm, seed, cell)
                if experiment.runs_alone(arm):
                    yield Job(arm, seed, str(place), config, experiment.episodes, cell=cell)
                else:
                    parent, at = str(folder.episode(base, seed, cell)), experiment.pairing.at
                    kind: Kind = "fork" if experiment.pairing.name == "fork" else "lazy_fork"
                    yield Job(arm, seed, str(place), config, experiment.episodes, kind, parent, at, cell)
