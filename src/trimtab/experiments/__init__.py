"""Paired experiments: arms, factors and seeds, run, resumed and judged."""

from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.loading import experiment_from, load_experiment
from trimtab.experiments.progress import RunOptions
from trimtab.experiments.run import conclude, planned, run_experiment
from trimtab.experiments.spec import ClaimSpec, Experiment, Pairing

__all__ = [
    "ClaimSpec",
    "Experiment",
    "ExperimentDirectory",
    "Pairing",
    "RunOptions",
    "conclude",
    "experiment_from",
    "load_experiment",
    "planned",
    "run_experiment",
]
