"""A memory run in a folder: starts or resumes the protocol, and writes its records."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.boundary import counted, read_regular, strict_json
from trimtab.errors import DataError, RunError
from trimtab.memory.config import MemoryConfig
from trimtab.memory.metrics import headline
from trimtab.memory.pairs import EncodedPair, counterfactuals
from trimtab.memory.protocol import stages
from trimtab.memory.protocol.ablations import ablations
from trimtab.memory.protocol.analysis_stage import analyse
from trimtab.memory.protocol.baselines import baseline_rows, bounds_of, control_rows
from trimtab.memory.protocol.candidates import LossBounds
from trimtab.memory.protocol.gates import Gate
from trimtab.memory.protocol.generation import generation_rows
from trimtab.memory.protocol.parts import load_parts, network_of, paraphrase_branches
from trimtab.memory.protocol.run_records import (
    all_seals,
    changes,
    fixed_changes,
    metrics,
    refuse_altered,
    refuse_changes,
    seal_finished,
    write_config,
    write_inputs,
    write_manifest,
)
from trimtab.memory.protocol.solving import Blocks, StageInterruptedError
from trimtab.memory.protocol.stages import MEMORIES, StageSetup
from trimtab.memory.store import Memory, load_memories
from trimtab.records import (
    JsonlWriter,
    RunDirectory,
    Status,
    Summary,
    clean_leftovers,
    now,
    peak_rss_mb,
    read_rows,
    to_json,
)
from trimtab.records.atomic import write_bytes, write_json
from trimtab.records.jsonl import encode_row
from trimtab.records.memory_rows import AblationsRecord, BaselineRow, ControlRow, GateRecord, GenerationRow
from trimtab.records.rows import Row
from trimtab.runtime.context import DEFAULT_CONTEXT, RunContext
from trimtab.runtime.events import Ended, Occurrence, Started

GATES = "gates.json"
_DECODED = 32
"""Memories that are decoded between two checks for a requested stop."""


class MemoryRun:
    """A memory run in the folder `out`, new or to be resumed.

    Every part of the protocol writes its records when it is complete and is skipped afterwards; the stages that run the solver
    write their own checkpoints. So a killed run resumes where it was and ends with the same records.

    Raises:
        RunError: the folder holds something else, or what the run depends on has changed (unless `accept_changes`).
        ConfigError, DataError: something that the config names is missing or does not fit; nothing is written.
    """

    def __init__(
        self,
        config: MemoryConfig,
        out: Path,
        context: RunContext = DEFAULT_CONTEXT,
        *,
        accept_changes: bool = False,
    ) -> None:
        self.run, self.folder, self.context, self.accept_changes = RunDirectory(out), Path(out), context, accept_changes
        exists = self.run.exists()
        if exists:
            with self.run.lock():  # a folder that is in use is refused before the model is read
                pass
        else:
            self.run.check_free()
        self.manifest = self.run.manifest() if exists else None
        positions = None if self.manifest is None else self.manifest.config.get("solve", {}).get("positions")
        self.parts = load_parts(config, positions)
        listed = self.parts.config.stages
        self.paraphrases, unused = paraphrase_branches(self.parts) if "paraphrases" in listed else ({}, [])
        self.left_out = [*self.parts.source.skipped, *(f"{one.pair}: {one.reason}" for one in self.parts.skipped)]
        self.left_out += [f"paraphrases: {reason}" for reason in unused]
        self.gates = _read_gates(self.folder / GATES)

    def execute(self) -> dict[str, Any]:
        """Run what is left of the protocol; returns status, metrics, gates and the folder."""
        parts, new = self.parts, self.manifest is None
        with self.run.create() if new else self.run.lock():
            clean_leftovers(self.folder)
            clean_leftovers(self.folder / MEMORIES)
            refuse_altered(self.folder, self.run.summary())
            changed = [] if self.manifest is None else changes(self.manifest, parts)
            if self.manifest is not None and (fixed := fixed_changes(self.manifest, parts)):
                refuse_changes(self.folder, fixed, fixed=True)
            if changed and not self.accept_changes:
                refuse_changes(self.folder, changed)
            if new:
                write_manifest(self.run, parts, list(self.context.command))
            elif changed:
                write_config(self.run.path, parts.config)
            write_inputs(self.run, parts)
            if not changed and (result := self._finished_result()) is not None:
                return result
            self.run.clear_summary()
            begun = self.run.events_path.exists() and bool(self.run.events())
            with JsonlWriter(self.run.events_path) as events:
                self.events = events
                if not begun:
                    self._log("data", self._pair_count())
                    for reason in self.left_out:
                        self._log("pair_skipped", reason)
                else:
                    self._log("resume", f"The run in {self.folder} continues.")
                if changed:
                    self._log("changes_accepted", "; ".join(changed))
                self.context.emit(Started("memory", str(self.folder), "pair", len(parts.pairs)))
                started = time.perf_counter()
                try:
                    status: Status = self._protocol()
                except StageInterruptedError as stop:
                    status = "interrupted"
                    self._log("end", str(stop))
                else:
                    self._log("end", status)
                figures = metrics(self.folder, parts)
                Summary(
                    status=status,
                    steps=sum(len(read_rows(path)) for path in sorted(self.folder.glob("stages/**/steps.jsonl"))),
                    metrics=figures,
                    weights_sha256=None,
                    tokens_per_second=None,
                    seconds=time.perf_counter() - started,
                    peak_rss_mb=peak_rss_mb(),
                    records=all_seals(self.folder),
                ).write(self.run.summary_path)
        self._emit_end(status, figures)
        return self._result(status, figures)

    def _emit_end(self, status: Status, figures: dict[str, Any], *, reused: bool = False) -> None:
        self.context.emit(Ended(status, headline=headline(figures), reused=reused, figures=to_json(figures)))

    def _pair_count(self) -> str:
        config, count = self.parts.config, len(self.parts.pairs)
        fewer = config.count is not None and count < config.count
        return f"{counted(count, 'pair')} of {config.pairs.name}" + (
            f" instead of {config.count}; the others cannot be used" if fewer else ""
        )

    def _finished_result(self) -> dict[str, Any] | None:
        """The result of a finished run; None if there is something left to do."""
        summary = self.run.summary()
        if summary is None or not (
            summary.status == "completed" or (summary.status == "stopped" and self.context.gates)
        ):
            return None
        self._emit_end(summary.status, summary.metrics, reused=True)
        return self._result(summary.status, summary.metrics)

    def _result(self, status: Status, figures: dict[str, Any]) -> dict[str, Any]:
        return {
            "status": status,
            "metrics": figures,
            "gates": list(self.gates.values()),
            "folder": str(self.folder),
        }

    # --- the protocol ------------------------------------------------------------------------------------------------

    def _protocol(self) -> Status:
        parts, listed = self.parts, set(self.parts.config.stages)
        setup = StageSetup(self.folder, parts, self.context)
        bounds = self._bounds("baselines.jsonl", parts.pairs) if "baselines" in listed else {}
        seal_finished(self.folder)
        if "single" in listed and not self._pass(stages.single(setup, bounds)):
            return "stopped"
        seal_finished(self.folder)
        if "joint" not in listed:
            return "completed"
        if not self._pass([stages.joint(setup, bounds, self._record)]):
            return "stopped"
        memories = list(load_memories(self.folder / MEMORIES, parts.network.fingerprint))
        if memories:
            self._rows("controls.jsonl", ControlRow, lambda: self._controls(memories))
        for part in self._later_parts(setup, bounds, memories):
            seal_finished(self.folder)
            part()
        return "completed"

    def _later_parts(
        self, setup: StageSetup, bounds: Mapping[str, LossBounds], memories: Sequence[Memory]
    ) -> Iterator[Callable[[], object]]:
        """The parts of the protocol after the joint stage."""
        parts, listed = self.parts, set(self.parts.config.stages)
        if "counterfactual" in listed:
            yield lambda: self._counterfactual(setup)
        if "paraphrases" in listed:
            yield lambda: stages.with_paraphrases(setup, self.paraphrases, bounds)
        if "generation" in listed:
            yield lambda: self._rows("generation.jsonl", GenerationRow, lambda: self._generation(memories))
        if "ablations" in listed and not (path := self.folder / "ablations.json").exists():
            yield lambda: write_json(path, AblationsRecord.model_validate(ablations(setup, bounds)).model_dump())
        if "analysis" in listed and memories:
            yield lambda: analyse(setup, memories, bounds, lambda: network_of(parts.config, "fp32"))

    def _bounds(self, name: str, pairs: Sequence[EncodedPair]) -> dict[str, LossBounds]:
        parts = self.parts

        def make() -> list[dict[str, Any]]:
            progress = Blocks(self.context, f"Baselines of {counted(len(pairs), 'pair')}")
            return baseline_rows(parts.network, parts.modes, pairs, parts.tokenizer, parts.settings, progress)

        return {row["pair"]: bounds_of(row) for row in self._rows(name, BaselineRow, make)}

    def _controls(self, memories: Sequence[Memory]) -> list[dict[str, Any]]:
        progress = Blocks(self.context, "Controls: another pair's vectors, and modes exchanged")
        return control_rows(self.parts.network, memories, self.parts.settings.positions, progress)

    def _counterfactual(self, setup: StageSetup) -> None:
        parts, config = self.parts, self.parts.config
        try:
            counterfactual = counterfactuals([pair.pair for pair in parts.pairs[: config.single_pairs]], config.seed)
        except DataError as error:
            self._log("stage_left_out", f"counterfactual: {error}")
            return
        pairs = parts.encode(counterfactual).pairs
        stages.both_sides(setup, "joint_counterfactual", pairs, self._bounds("baselines_counterfactual.jsonl", pairs))

    def _generation(self, memories: Sequence[Memory]) -> list[dict[str, Any]]:
        """Decodes of memories, and of the best vectors of unsolved pairs, which show whether a low loss gives the text."""
        parts, rows = self.parts, list[dict[str, Any]]()
        unsolved = stages.best_unsolved(self.folder, parts.network.fingerprint)
        total = len(memories) + len(unsolved)
        what = f"{len(memories)} memories and {len(unsolved)} unsolved pairs' best vectors"
        precision = parts.config.solve.precision
        for name in dict.fromkeys(("fp32", precision)):
            progress = Blocks(self.context, f"Greedy decoding in {name}: {what}")
            network = parts.network if name == precision else network_of(parts.config, name)
            for group, solved in ((memories, True), (unsolved, False)):
                for start in range(0, len(group), _DECODED):
                    progress(start + (0 if solved else len(memories)), total)
                    part = group[start : start + _DECODED]
                    rows += generation_rows(network, name, part, parts.tokenizer, solved=solved)
        return rows

    # --- records -----------------------------------------------------------------------------------------------------

    def _rows(
        self, name: str, kind: type[Row], make: Callable[[], Iterable[Mapping[str, Any]]]
    ) -> list[dict[str, Any]]:
        """The rows of a file; if it does not exist, they are made and written first."""
        path = self.folder / name
        if not path.exists():
            write_bytes(path, b"".join(encode_row(row) for row in make()))
        return read_rows(path, kind)

    def _pass(self, gates: Sequence[Gate]) -> bool:
        """Record gates; returns whether the run continues."""
        for one in gates:
            self._record(one)
        return all(one.passed for one in gates) or not self.context.gates

    def _record(self, gate: Gate) -> None:
        """Record and report a gate, unless it is recorded already with the same result."""
        row = to_json(GateRecord.model_validate(gate.row()).model_dump())
        if self.gates.get(gate.gate) != row:
            self.gates[gate.gate] = row
            write_json(self.folder / GATES, list(self.gates.values()))
            self._log("gate", f"{gate.gate}: {gate.message}")

    def _log(self, kind: str, reason: str) -> None:
        row = {"time": now(), "kind": kind, "reason": reason}
        self.events.write(row)
        self.context.emit(Occurrence(row))


def _read_gates(path: Path) -> dict[str, dict[str, Any]]:
    """The recorded gates of a run, by name. Raises `RunError` if the file is damaged."""
    if not path.exists():
        return {}
    try:
        return {row["gate"]: row for row in strict_json(read_regular(path))}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{path} is damaged: {error}. Restore it from a copy, or remove it to have the gates evaluated again."
        ) from error


def run_memory(
    config: MemoryConfig, out: Path, context: RunContext = DEFAULT_CONTEXT, *, accept_changes: bool = False
) -> dict[str, Any]:
    """Start or resume the memory run in `out`; see `MemoryRun`."""
    return MemoryRun(config, out, context, accept_changes=accept_changes).execute()


def run_episode(config: MemoryConfig, out: Path, context: RunContext) -> dict[str, Any]:
    """Run, resume or reuse a memory run as an episode of an experiment; returns its `status` and whether it was `reused`.

    Raises a `RunError` that names what has changed since the run was started.
    """
    run = RunDirectory(out)
    before = run.summary() if run.exists() else None
    result = run_memory(config, run.path, context)
    return {"status": result["status"], "reused": before is not None and before.status == "completed"}
