"""Everything that a report is drawn from, read once from an experiment's folder."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trimtab.config import canonical_json
from trimtab.records.experiment_files import (
    DETECTION,
    INTERVENTIONS,
    NOISE_FLOOR,
    PROGRESS,
    SAME_AS,
    SPEC,
    TUNING,
    VERDICTS,
    DetectionRecord,
    ExperimentProgress,
    InterventionsRecord,
    NoiseFloorRecord,
    TuningRecord,
    VerdictRecord,
    read_progress,
)
from trimtab.records.experiment_spec import ExperimentSpec, read_spec
from trimtab.records.integrity import altered, differing
from trimtab.records.metrics import Metric
from trimtab.records.places import place
from trimtab.records.run_directory import RunDirectory
from trimtab.reports.experiment.episodes import EpisodeRecords, opened
from trimtab.reports.reading import read_if_there, read_list

KIND = "an experiment"


@dataclass(frozen=True)
class ExperimentRecords:
    """The records in an experiment's folder; files that an experiment need not have are None where they are missing.

    `verdicts` is empty until the experiment has ended. `altered` has one phrase per file that was changed after the
    experiment wrote it.
    """

    folder: Path
    spec: ExperimentSpec
    progress: ExperimentProgress
    verdicts: list[VerdictRecord]
    episodes: list[EpisodeRecords]
    detection: list[DetectionRecord] | None
    interventions: InterventionsRecord | None
    noise: NoiseFloorRecord | None
    tuning: TuningRecord | None
    altered: list[str]

    @cached_property
    def claims(self) -> dict[str, VerdictRecord]:
        """The verdict on the claim, by treatment."""
        return {verdict.treatment: verdict for verdict in self.verdicts if verdict.claimed}

    @cached_property
    def arms(self) -> list[str]:
        """The baseline, then the treatments."""
        return [self.spec.baseline_arm, *self.spec.treatments]

    @cached_property
    def cells(self) -> list[tuple[Any, ...]]:
        """Every combination of the factors' values; without factors one empty combination."""
        return [cell_of(values) for values in self.spec.cells]

    def of(self, arm: str, cell: tuple[Any, ...] | None = None) -> list[EpisodeRecords]:
        """An arm's episodes, by seed: those of one cell, or all."""
        return [e for e in self.episodes if e.arm == arm and (cell is None or e.cell == cell)]

    def metric(self, name: str) -> Metric:
        """A metric as its kind of run declares it; the claim gives the direction of its own."""
        claim = self.spec.claim
        declared = next((metric for metric in self.progress.metrics if metric.name == name), None)
        if declared is None:
            return Metric(name, higher_is_better=claim.higher_is_better)
        return replace(declared, higher_is_better=claim.higher_is_better) if name == claim.metric else declared

    @cached_property
    def explored(self) -> list[Metric]:
        """The metrics that are compared besides the claimed one."""
        return [self.metric(name) for name in self.progress.explored]

    @property
    def source(self) -> str:
        """The claimed metric; where that is derived over a factor, the metric that it is derived from."""
        derived = self.spec.derived
        claimed = self.spec.claim.metric
        return derived.metric if derived is not None and derived.name == claimed else claimed


def read_records(folder: Path) -> ExperimentRecords:
    """Read an experiment's folder. Raises `RunError`, in one paragraph, where it is damaged or another kind of folder."""
    spec = read_spec(folder / SPEC)
    progress = read_progress(folder / PROGRESS)
    verdicts = read_list(VerdictRecord, folder / VERDICTS, KIND) or []
    episodes = _episodes(folder, spec, progress)
    return ExperimentRecords(
        folder=folder,
        spec=spec,
        progress=progress,
        verdicts=verdicts if progress.status in ("completed", "failed") else [],
        episodes=episodes,
        detection=read_list(DetectionRecord, folder / DETECTION, KIND),
        interventions=read_if_there(InterventionsRecord, folder / INTERVENTIONS, KIND),
        noise=read_if_there(NoiseFloorRecord, folder / NOISE_FLOOR, KIND),
        tuning=read_if_there(TuningRecord, folder / TUNING, KIND),
        altered=_altered(folder, progress, episodes),
    )


def cell_of(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The factors' values as a key: a list or a mapping (the faults of a cell) as its JSON."""
    return tuple(canonical_json(value) if isinstance(value, list | dict) else value for value in values.values())


def _altered(folder: Path, progress: ExperimentProgress, episodes: list[EpisodeRecords]) -> list[str]:
    phrases = differing(folder, progress.records)
    for episode in episodes:
        if episode.run is not None and not episode.same:
            phrases += [f"{episode.name}/{phrase}" for phrase in altered(episode.run.path, episode.summary)]
    return phrases


def _episodes(folder: Path, spec: ExperimentSpec, progress: ExperimentProgress) -> list[EpisodeRecords]:
    episodes: list[EpisodeRecords] = []
    for seed in spec.seed_list:
        baselines: dict[tuple[Any, ...], EpisodeRecords] = {}
        for arm in (spec.baseline_arm, *spec.treatments):
            for values in spec.cells:
                cell = cell_of(values)
                name = place("episodes", arm, seed, values)
                planned = EpisodeRecords(arm, seed, cell, name, "not started", parent=baselines.get(cell))
                episode = _episode(folder, progress, planned)
                if arm == spec.baseline_arm:
                    baselines[cell] = episode
                episodes.append(episode)
    return episodes


def _episode(folder: Path, progress: ExperimentProgress, planned: EpisodeRecords) -> EpisodeRecords:
    path, baseline = folder / planned.name, planned.parent
    place_in_design = (planned.arm, planned.seed, planned.cell, planned.name)
    if (path / SAME_AS).exists() and baseline is not None:
        return EpisodeRecords(
            *place_in_design, baseline.status, True, baseline.run, baseline.manifest, baseline.summary, baseline.parent
        )
    run = RunDirectory(path)
    manifest, summary = opened(run)
    recorded = progress.episodes.get(planned.name)
    if manifest is None:
        missing = "failed" if recorded is not None and recorded.status == "failed" else "missing"
        return EpisodeRecords(*place_in_design, "not started" if recorded is None else missing)
    status: str = summary.status if summary is not None else "interrupted"
    if recorded is not None and recorded.status == "failed":
        status = "failed"
    trunk = baseline.manifest.run_id if baseline is not None and baseline.manifest is not None else None
    forked = manifest.parent is not None and manifest.parent.run_id == trunk
    return EpisodeRecords(*place_in_design, status, False, run, manifest, summary, baseline if forked else None)
