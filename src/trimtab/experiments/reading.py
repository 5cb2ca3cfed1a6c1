"""The results of an experiment's episodes, read from their records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.spec import Experiment
from trimtab.records import RunDirectory, Summary, flatten
from trimtab.records.experiment_files import SAME_AS


@dataclass(frozen=True)
class EpisodeResult:
    """The result of a finished episode: its arm, seed and cell, how it ended, and its metrics by dotted name.

    `same` says that its controller never acted, so its figures are the baseline's.
    """

    arm: str
    seed: int
    cell: tuple[Any, ...]
    status: str
    figures: dict[str, float]
    steps: int = 0
    same: bool = False

    @classmethod
    def read(
        cls, run: RunDirectory, arm: str, seed: int, cell: Mapping[str, Any], *, same: bool = False
    ) -> "EpisodeResult | None":
        """The result of a run; None while the run has not ended."""
        summary = run.summary() if run.exists() else None
        if summary is None or summary.status == "interrupted":
            return None
        return cls(arm, seed, tuple(cell.values()), summary.status, figures_of(summary), summary.steps, same)


def figures_of(summary: Summary) -> dict[str, float]:
    """The numbers of a summary by dotted name."""
    return {
        name: float(value)
        for name, value in flatten(summary.metrics)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def run_of(folder: ExperimentDirectory, experiment: Experiment, arm: str, seed: int, cell: dict[str, Any]) -> tuple[
    RunDirectory, bool
]:  # fmt: skip
    """The run of an episode, and whether it is the baseline's because the arm's controller never acted."""
    place = folder.episode(arm, seed, cell)
    same = (place / SAME_AS).exists()
    return RunDirectory(folder.episode(experiment.baseline_arm, seed, cell) if same else place), same


def finished(folder: ExperimentDirectory, experiment: Experiment) -> list[EpisodeResult]:
    """The results of the episodes that have ended, from the records alone.

    An episode whose last try failed has no result, whatever an earlier try left in its folder. Nor has an episode that is the
    baseline's, where the baseline's failed.
    """
    results, failed = [], folder.failures()
    for seed in experiment.seed_list:
        for arm in experiment.arms:
            for cell in experiment.cells:
                if folder.name(folder.episode(arm, seed, cell)) in failed:
                    continue
                run, same = run_of(folder, experiment, arm, seed, cell)
                if same and folder.name(run.path) in failed:
                    continue
                episode = EpisodeResult.read(run, arm, seed, cell, same=same)
                if episode is not None:
                    results.append(episode)
    return results
