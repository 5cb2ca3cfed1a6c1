"""Paired experiments: arms, factors and seeds, run, resumed and judged."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names

if TYPE_CHECKING:
    from trimtab.experiments.directory import ExperimentDirectory
    from trimtab.experiments.loading import experiment_from, load_experiment
    from trimtab.experiments.planning import planned
    from trimtab.experiments.progress import RunOptions
    from trimtab.experiments.run import conclude, run_experiment
    from trimtab.experiments.spec import Experiment
    from trimtab.records.experiment_spec import ClaimSpec, Pairing

# Late, so that a spec or a folder can be refused without torch.
__getattr__ = lazy_names(
    __name__,
    {
        "ClaimSpec": "trimtab.records.experiment_spec",
        "Experiment": "trimtab.experiments.spec",
        "ExperimentDirectory": "trimtab.experiments.directory",
        "Pairing": "trimtab.records.experiment_spec",
        "RunOptions": "trimtab.experiments.progress",
        "conclude": "trimtab.experiments.run",
        "experiment_from": "trimtab.experiments.loading",
        "load_experiment": "trimtab.experiments.loading",
        "planned": "trimtab.experiments.planning",
        "run_experiment": "trimtab.experiments.run",
    },
)

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
