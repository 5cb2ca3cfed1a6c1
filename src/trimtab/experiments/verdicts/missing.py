"""Pairs that are missing from a comparison because an episode failed."""

from collections.abc import Mapping
from dataclasses import replace

from trimtab.boundary import counted, printable, shortened
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.spec import Experiment
from trimtab.experiments.verdicts.verdict_metrics import Judged


def with_missing(folder: ExperimentDirectory, experiment: Experiment, verdicts: list[Judged]) -> list[Judged]:
    """The verdicts with the number of planned pairs and the failed episodes, which their sentences name."""
    failures = folder.failures()
    return [_completed(folder, experiment, judged, failures) for judged in verdicts]


def failed_episodes(folder: ExperimentDirectory) -> list[dict[str, str]]:
    """Every episode whose last try failed, and why."""
    return [{"episode": name, "error": error} for name, error in sorted(folder.failures().items())]


def _completed(
    folder: ExperimentDirectory, experiment: Experiment, judged: Judged, failures: Mapping[str, str]
) -> Judged:
    planned = experiment.seed_list[: experiment.budget.pairs]
    verdict, failed, pairs = judged.verdict, [], 0
    for seed in planned:
        names = [
            folder.name(folder.episode(arm, seed, cell))
            for arm in (verdict.baseline, verdict.treatment)
            for cell in experiment.cells
        ]
        own = [name for name in names if name in failures]
        pairs += bool(own)
        failed += [{"episode": name, "error": failures[name]} for name in own]
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        reason = shortened(printable(failed[0]["error"]), 200).rstrip(".")
        sentence = (
            f"{verdict.sentence} {verdict.n} of {counted(len(planned), 'planned pair')} finished; {pairs} lack an episode that "
            f"failed ({failed[0]['episode']}: {reason}{more})."
        )
        verdict = replace(verdict, sentence=sentence)
    return replace(judged, verdict=verdict, planned=len(planned), failed=failed)
