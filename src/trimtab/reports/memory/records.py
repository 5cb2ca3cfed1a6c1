"""Everything that the report is drawn from, read once from a memory run's folder."""

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
from trimtab.reports.memory.measures import Geometry, Landscape, Leaks
from trimtab.reports.reading import checked_rows, read_if_there, read_list

KIND = "a memory run"
"""The file by which a memory run's folder is known."""

STAGES = {
    "single_question": "question alone",
    "single_answer": "answer alone",
    "joint": "joint",
    "joint_counterfactual": "counterfactual pairs",
    "joint_paraphrases": "with paraphrases",
}
"""The stages' folders, in order, and their names in the report."""

_R = TypeVar("_R", bound=Row)


@dataclass(frozen=True)
class Solving:
    """What became of one pair in one stage: its candidates by restart; the one that solved it, or else the best, is `best`."""

    candidates: tuple[CandidateRow, ...]

    @cached_property
    def best(self) -> CandidateRow:
        """The one that solved the pair; where none did, the one of the lowest loss."""
        solved = [one for one in self.candidates if one.solved]
        return solved[0] if solved else min(self.candidates, key=_height)

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
        """The candidates up to the one that solved the pair, or all."""
        return (
            [one for one in self.candidates if one.restart <= self.best.restart] if self.solved else [*self.candidates]
        )


def _height(candidate: CandidateRow) -> float:
    total = sum(candidate.loss.known)
    return math.inf if math.isnan(total) else total


@dataclass(frozen=True)
class Stage:
    """A stage that was run: every pair's candidates, and the engine's steps."""

    name: str
    candidates: tuple[CandidateRow, ...]
    steps: tuple[EngineStepRow, ...]
    planned: int = 0
    """The pairs that it is of, where the records tell."""

    @cached_property
    def pairs(self) -> dict[str, Solving]:
        """By pair, in the order in which they first ended."""
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
        """What shares are of: all that were planned, as those that have ended before the others are mostly the solved ones."""
        return max(self.planned, len(self.pairs))


@dataclass(frozen=True)
class Records:
    """A memory run's folder. What was not run is None or empty; `again` found other memories for the landscape's ways.

    `altered` are the files that are not as the run wrote them, each as one phrase.
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
    leaks: Leaks | None
    geometry: Geometry | None
    landscape: Landscape | None
    altered: list[str]

    @property
    def joint(self) -> Stage | None:
        """The joint stage."""
        return self.stages.get("joint")

    @property
    def status(self) -> str:
        """How the run stands, in words."""
        if self.summary is not None:
            return self.summary.status
        return "not ended: it is running, or was killed"

    @property
    def stopped(self) -> bool:
        """Whether a gate stopped the run."""
        return self.summary is not None and self.summary.status == "stopped"

    @property
    def ungated(self) -> bool:
        """Whether the run was told to go on past its gates: the command that began it says so, or a gate did not stop it."""
        asked = self.manifest is not None and "--no-gates" in self.manifest.command
        closed = any(not gate.passed for gate in self.gates if gate.gate != "early")
        return asked or (closed and not self.stopped)

    def setting(self, *path: str) -> Any:
        """A setting of the config by its key path; None where there is none."""
        here: Any = self.config
        for key in path:
            here = here.get(key) if isinstance(here, dict) else None
        return here


def read_records(folder: Path) -> Records:
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
    found = {name: _stage(folder / "stages" / name, name, planned.get(name, 0)) for name in STAGES}
    return Records(
        folder=folder,
        config=config,
        manifest=run.manifest() if run.exists() else None,
        summary=summary,
        events=run.events(),
        pairs=pairs,
        baselines=_once(_rows(BaselineRow, folder / "baselines.jsonl"), folder / "baselines.jsonl"),
        controls=_rows(ControlRow, folder / "controls.jsonl"),
        stages={name: stage for name, stage in found.items() if stage is not None},
        cells=dict(_cells(folder / "stages" / "ablation")),
        again=_stage(folder / "stages" / "joint_again", "joint_again"),
        gates=read_list(GateRecord, folder / "gates.json", KIND) or [],
        generation=_rows(GenerationRow, folder / "generation.jsonl"),
        ablations=read_if_there(AblationsRecord, folder / "ablations.json", KIND),
        robustness=_rows(RobustnessRow, folder / "robustness.jsonl"),
        leaks=read_if_there(Leaks, folder / "leaks.json", KIND),
        geometry=read_if_there(Geometry, folder / "geometry.json", KIND),
        landscape=read_if_there(Landscape, folder / "landscape.json", KIND),
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
    """A JSONL file's rows; none where there is no such file.

    Texts are kept as they stand: an answer may well be "nan". Where a number is due, that word is one.
    """
    return checked_rows(kind, read_rows(path), path) if path.exists() else []


_P = TypeVar("_P", PairRow, BaselineRow)


def _once(rows: list[_P], path: Path) -> dict[str, _P]:
    found: dict[str, _P] = {}
    for number, row in enumerate(rows, start=1):
        if row.pair in found:
            raise RunError(
                f"{path} is damaged at line {number}: pair '{row.pair}' stands there twice. Restore it from a copy."
            )
        found[row.pair] = row
    return found


def _stage(folder: Path, name: str, planned: int = 0) -> Stage | None:
    """A stage, None where no candidate of it has ended."""
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
