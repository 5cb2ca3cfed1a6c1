"""Everything that the report of a memory run is drawn from, read once from its folder."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from trimtab.config.yaml_file import load_yaml
from trimtab.errors import ConfigError, RunError
from trimtab.records import Manifest, RunDirectory, Summary
from trimtab.records.integrity import altered
from trimtab.records.jsonl import read_rows
from trimtab.records.memory_measurements import GeometryRecord, LandscapeRecord, LeaksRecord
from trimtab.records.memory_rows import (
    MEMORY_CONFIG,
    AblationsRecord,
    BaselineRow,
    CandidateRow,
    ControlRow,
    EngineStepRow,
    GateRecord,
    GenerationRow,
    PairRow,
    RobustnessRow,
)
from trimtab.records.rows import Row
from trimtab.reports.reading import checked_rows, read_if_there, read_list

KIND = "a memory run"

STAGES = {
    "single_question": "question alone",
    "single_answer": "answer alone",
    "joint": "joint",
    "joint_counterfactual": "counterfactual pairs",
    "joint_paraphrases": "with paraphrases",
}
"""The folders of the stages, in order, and their names in the report."""

_R = TypeVar("_R", bound=Row)


@dataclass(frozen=True)
class Solving:
    """The candidates of one pair in one stage, by restart."""

    candidates: tuple[CandidateRow, ...]

    @cached_property
    def best(self) -> CandidateRow:
        """The candidate that solved the pair, or else the one with the lowest loss."""
        solved = [one for one in self.candidates if one.solved]
        return solved[0] if solved else min(self.candidates, key=_total_loss)

    @property
    def solved(self) -> bool:
        """Whether a restart solved the pair."""
        return self.best.solved

    @property
    def lenient(self) -> bool:
        """Whether a restart met the lenient criterion at some step."""
        return any(one.lenient_step is not None for one in self.candidates)

    @property
    def spent(self) -> list[CandidateRow]:
        """The candidates up to the one that solved the pair; all where none did."""
        return (
            [one for one in self.candidates if one.restart <= self.best.restart] if self.solved else [*self.candidates]
        )


def _total_loss(candidate: CandidateRow) -> float:
    total = sum(candidate.loss.known)
    return math.inf if math.isnan(total) else total


@dataclass(frozen=True)
class Stage:
    """The records of one stage: its candidates and the engine's steps."""

    name: str
    candidates: tuple[CandidateRow, ...]
    steps: tuple[EngineStepRow, ...]
    planned: int = 0
    """The number of pairs that the stage was to solve; 0 where it is not known."""

    @cached_property
    def pairs(self) -> dict[str, Solving]:
        """The candidates by pair, in the order in which pairs first ended."""
        gathered: dict[str, list[CandidateRow]] = {}
        for one in self.candidates:
            gathered.setdefault(one.pair, []).append(one)
        return {pair: Solving(tuple(sorted(own, key=lambda one: one.restart))) for pair, own in gathered.items()}

    @property
    def solved(self) -> int:
        """How many pairs were solved."""
        return sum(pair.solved for pair in self.pairs.values())

    @property
    def trials(self) -> int:
        """The denominator of shares: all planned pairs, because the pairs that end first are mostly the solved ones."""
        return max(self.planned, len(self.pairs))


@dataclass(frozen=True)
class MemoryRecords:
    """The records in a memory run's folder; what was not run is None or empty.

    `again` is the stage that solved the pairs from other starting points, for the landscape. `altered` has one phrase per
    file that was changed after the run wrote it.
    """

    folder: Path
    config: dict[str, Any]
    manifest: Manifest | None
    summary: Summary | None
    events: list[dict[str, Any]]
    pairs: dict[str, PairRow]
    baselines: dict[str, BaselineRow]
    controls: list[ControlRow]
    stages: dict[str, Stage]
    cells: dict[str, Stage]
    again: Stage | None
    gates: list[GateRecord]
    generation: list[GenerationRow]
    ablations: AblationsRecord | None
    robustness: list[RobustnessRow]
    leaks: LeaksRecord | None
    geometry: GeometryRecord | None
    landscape: LandscapeRecord | None
    altered: list[str]

    @property
    def joint(self) -> Stage | None:
        """The joint stage."""
        return self.stages.get("joint")

    @property
    def status(self) -> str:
        """The status of the run, in words."""
        if self.summary is not None:
            return self.summary.status
        return "not ended: running, or killed"

    @property
    def stopped(self) -> bool:
        """Whether a gate stopped the run."""
        return self.summary is not None and self.summary.status == "stopped"

    @property
    def ungated(self) -> bool:
        """Whether the run ignored its gates: its command says so, or it continued after a gate that was not passed."""
        requested = self.manifest is not None and "--no-gates" in self.manifest.command
        closed = any(not gate.passed for gate in self.gates if gate.gate != "early")
        return requested or (closed and not self.stopped)

    def setting(self, *path: str) -> Any:
        """A value of the config by its key path; None where there is none."""
        here: Any = self.config
        for key in path:
            here = here.get(key) if isinstance(here, dict) else None
        return here


def read_records(folder: Path) -> MemoryRecords:
    """Read a memory run's folder. Raises `RunError`, in one paragraph, where it is damaged or another kind of folder."""
    run = RunDirectory(folder)
    summary = run.summary()
    config, pairs = (
        _config(folder / MEMORY_CONFIG),
        _once(_rows(PairRow, folder / "pairs.jsonl"), folder / "pairs.jsonl"),
    )
    single = min(len(pairs), config.get("single_pairs") or 0)
    counterfactual = len(_rows(BaselineRow, folder / "baselines_counterfactual.jsonl"))
    planned = {
        "single_question": single,
        "single_answer": single,
        "joint": len(pairs),
        "joint_counterfactual": counterfactual,
    }
    stages = {name: _stage(folder / "stages" / name, name, planned.get(name, 0)) for name in STAGES}
    return MemoryRecords(
        folder=folder,
        config=config,
        manifest=run.manifest() if run.exists() else None,
        summary=summary,
        events=run.events(),
        pairs=pairs,
        baselines=_once(_rows(BaselineRow, folder / "baselines.jsonl"), folder / "baselines.jsonl"),
        controls=_rows(ControlRow, folder / "controls.jsonl"),
        stages={name: stage for name, stage in stages.items() if stage is not None},
        cells=dict(_cells(folder / "stages" / "ablation")),
        again=_stage(folder / "stages" / "joint_again", "joint_again"),
        gates=read_list(GateRecord, folder / "gates.json", KIND) or [],
        generation=_rows(GenerationRow, folder / "generation.jsonl"),
        ablations=read_if_there(AblationsRecord, folder / "ablations.json", KIND),
        robustness=_rows(RobustnessRow, folder / "robustness.jsonl"),
        leaks=read_if_there(LeaksRecord, folder / "leaks.json", KIND),
        geometry=read_if_there(GeometryRecord, folder / "geometry.json", KIND),
        landscape=read_if_there(LandscapeRecord, folder / "landscape.json", KIND),
        altered=altered(folder, summary),
    )


def _config(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise RunError(
            f"{path.parent} is not the folder of {KIND}: there is no {path.name} in it. Give the folder that `trimtab memory "
            "run` was given as --out."
        )
    try:
        return load_yaml(path)[0]
    except ConfigError as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _rows(kind: type[_R], path: Path) -> list[_R]:
    """The rows of a JSONL file; none where there is no such file."""
    return checked_rows(kind, read_rows(path), path) if path.exists() else []


_P = TypeVar("_P", PairRow, BaselineRow)


def _once(rows: list[_P], path: Path) -> dict[str, _P]:
    by_pair: dict[str, _P] = {}
    for number, row in enumerate(rows, start=1):
        if row.pair in by_pair:
            raise RunError(
                f"{path} is damaged at line {number}: pair '{row.pair}' occurs twice. Restore it from a copy."
            )
        by_pair[row.pair] = row
    return by_pair


def _stage(folder: Path, name: str, planned: int = 0) -> Stage | None:
    """A stage; None where none of its candidates has ended."""
    candidates = _rows(CandidateRow, folder / "candidates.jsonl")
    return (
        Stage(name, tuple(candidates), tuple(_rows(EngineStepRow, folder / "steps.jsonl")), planned)
        if candidates
        else None
    )


def _cells(folder: Path) -> Iterator[tuple[str, Stage]]:
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        stage = _stage(place, place.name)
        if stage is not None:
            yield place.name, stage
