"""Everything that a report is drawn from, read once from an experiment's folder."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trimtab.records.integrity import altered, differing
from trimtab.records.places import place
from trimtab.records.run_directory import RunDirectory
from trimtab.reports.experiment.contract import Design, ExperimentProgress, Finding, read_design, read_progress
from trimtab.reports.experiment.episodes import Episode, opened
from trimtab.reports.experiment.optional import DetectionScore, Interventions, NoiseFloor, Tuning
from trimtab.reports.reading import read_if_there, read_list

KIND = "an experiment"

SAME_AS = "same_as.json"
"""Stands in an episode's folder in place of a run: its controller never acted."""


@dataclass(frozen=True)
class Records:
    """An experiment's folder. The optional files are None where they are missing.

    `altered` are the files that are not as the experiment wrote them, each as one phrase.
    """

    folder: Path
    design: Design
    progress: ExperimentProgress
    findings: list[Finding]
    episodes: list[Episode]
    detection: list[DetectionScore] | None
    interventions: Interventions | None
    noise: NoiseFloor | None
    tuning: Tuning | None
    altered: list[str]

    @property
    def judged(self) -> bool:
        """Whether there are verdicts on all that was planned; an interrupted experiment has none."""
        return bool(self.findings) and self.progress.status in ("completed", "failed")

    @cached_property
    def claims(self) -> dict[str, Finding]:
        """The claim's verdict of each treatment that has one."""
        return {finding.treatment: finding for finding in self.findings if finding.primary}

    @cached_property
    def cells(self) -> list[tuple[Any, ...]]:
        """Every combination of the factors' values; one empty one without factors."""
        return list(itertools.product(*self.design.factors.values()))

    def of(self, arm: str, cell: tuple[Any, ...] | None = None) -> list[Episode]:
        """An arm's episodes, by seed; those of one cell, or all."""
        return [e for e in self.episodes if e.arm == arm and (cell is None or e.cell == cell)]

    @property
    def source(self) -> str:
        """The figure of the summaries that the claim is about: under a derived metric, the one it is derived from."""
        derived = self.design.derived
        claimed = self.design.claim.metric
        return derived.metric if derived is not None and derived.name == claimed else claimed


def read_records(folder: Path) -> Records:
    """Read an experiment's folder. Raises `RunError`, in one paragraph, where it is damaged or another kind of folder."""
    design = read_design(folder / "experiment.yaml")
    progress = read_progress(folder / "experiment.json")
    findings = read_list(Finding, folder / "verdicts.json", KIND) or []
    episodes = _episodes(folder, design, progress)
    return Records(
        folder=folder,
        design=design,
        progress=progress,
        findings=findings if progress.status in ("completed", "failed") else [],
        episodes=episodes,
        altered=_altered(folder, progress, episodes),
        detection=read_list(DetectionScore, folder / "detection.json", KIND),
        interventions=read_if_there(Interventions, folder / "interventions.json", KIND),
        noise=read_if_there(NoiseFloor, folder / "noise_floor.json", KIND),
        tuning=read_if_there(Tuning, folder / "tuning.json", KIND),
    )


def _altered(folder: Path, progress: ExperimentProgress, episodes: list[Episode]) -> list[str]:
    found = differing(folder, progress.records)
    for episode in episodes:
        if episode.run is not None and not episode.same:
            found += [f"{episode.name}/{what}" for what in altered(episode.run.path, episode.summary)]
    return found


def _episodes(folder: Path, design: Design, progress: ExperimentProgress) -> list[Episode]:
    found: list[Episode] = []
    bases: dict[tuple[int, tuple[Any, ...]], Episode] = {}
    cells = list(itertools.product(*design.factors.values()))
    for seed in design.seed_list:
        for arm in design.order:
            for cell in cells:
                name = place("episodes", arm, seed, dict(zip(design.factors, cell, strict=True)))
                base = bases.get((seed, cell))
                episode = _episode(folder, progress, Episode(arm, seed, cell, name, "not begun", parent=base))
                if arm == design.baseline:
                    bases[seed, cell] = episode
                found.append(episode)
    return found


def _episode(folder: Path, progress: ExperimentProgress, plan: Episode) -> Episode:
    path, base = folder / plan.name, plan.parent
    about = (plan.arm, plan.seed, plan.cell, plan.name)
    if (path / SAME_AS).exists() and base is not None:
        return Episode(*about, base.status, True, base.run, base.manifest, base.summary, base.parent)
    run = RunDirectory(path)
    manifest, summary = opened(run)
    told = progress.episodes.get(plan.name)
    if manifest is None:
        return Episode(*about, "not begun" if told is None else "failed" if told.status == "failed" else "missing")
    status: str = summary.status if summary is not None else "interrupted"
    if told is not None and told.status == "failed":
        status = "failed"
    trunk = base.manifest.run_id if base is not None and base.manifest is not None else None
    known = manifest.parent is not None and manifest.parent.run_id == trunk
    return Episode(*about, status, False, run, manifest, summary, base if known else None)
