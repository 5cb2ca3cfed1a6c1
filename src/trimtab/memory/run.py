"""A memory run in a folder: begun, gone on with after any kill, and told in its records."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.boundary import counted, read_regular, strict_json
from trimtab.errors import DataError, RunError
from trimtab.memory.config import MemoryConfig
from trimtab.memory.engine.solve import Step
from trimtab.memory.pairs import EncodedPair, counterfactuals
from trimtab.memory.protocol import stages
from trimtab.memory.protocol.ablations import ablations
from trimtab.memory.protocol.analysis_stage import analyse
from trimtab.memory.protocol.baselines import baseline_rows, bounds_of, control_rows
from trimtab.memory.protocol.gates import Gate
from trimtab.memory.protocol.generation import generation_rows
from trimtab.memory.protocol.parts import network_of, open_run, wordings
from trimtab.memory.protocol.run_records import (
    all_seals,
    begin,
    changes,
    metrics,
    refuse,
    refuse_altered,
    seal_parts,
    unacceptable,
    write_config,
)
from trimtab.memory.protocol.solving import Bounds, Pace, StageInterruptedError, Watcher
from trimtab.memory.protocol.stages import MEMORIES, Bench
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
from trimtab.records.memory_rows import BaselineRow, ControlRow, GenerationRow
from trimtab.records.rows import Row
from trimtab.runtime.context import RunContext

GATES = "gates.json"
_DECODED = 32
"""Memories that are decoded between two looks at whether the run should stop."""


class MemoryRun:
    """A memory run in the folder `out`, new or to be gone on with.

    Every part writes its records when it is whole, and is found done later; the stages that solve candidates keep their own
    checkpoints. So a run that is killed goes on where it was, and ends with the records that it would have had.

    Raises:
        RunError: the folder holds something else, or what the run depends on has changed (unless `accept_changes`).
        ConfigError, DataError: what the config names is not there or does not fit; nothing is written then.
    """

    def __init__(
        self,
        config: MemoryConfig,
        out: Path,
        watcher: Watcher,
        *,
        gated: bool = True,
        accept_changes: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        self.run, self.folder, self.watcher, self.gated = RunDirectory(out), Path(out), watcher, gated
        self.accept_changes, self.command = accept_changes, list(command)
        begun = self.run.exists()
        if begun:
            with self.run.lock():  # a folder that is in use is refused before the model is read
                pass
        else:
            self.run.check_free()
        then = self.run.manifest() if begun else None
        recorded = None if then is None else then.config.get("solve", {}).get("positions")
        self.opened = open_run(config, recorded)
        self.then = then
        listed = self.opened.config.stages
        self.wordings, unused = wordings(self.opened) if "paraphrases" in listed else ({}, [])
        self.left_out = [*self.opened.reading.skipped, *(f"{one.pair}: {one.reason}" for one in self.opened.skipped)]
        self.left_out += [f"wordings: {reason}" for reason in unused]
        self.gates = _gates(self.folder / GATES)

    def go(self) -> dict[str, Any]:
        """Do what is left of the protocol; returns status, metrics and the folder."""
        opened, begun = self.opened, self.then is None
        with self.run.create() if begun else self.run.lock():
            clean_leftovers(self.folder)
            clean_leftovers(self.folder / MEMORIES)
            refuse_altered(self.folder, self.run.summary())
            found = [] if self.then is None else changes(self.then, opened)
            if self.then is not None and (fixed := unacceptable(self.then, opened)):
                refuse(self.folder, fixed, for_good=True)
            if found and not self.accept_changes:
                refuse(self.folder, found)
            if begun:
                begin(self.run, opened, self.command)
            elif found:
                write_config(self.run.path, opened.config)
            if not found and (done := self._done()) is not None:
                return done
            self.run.clear_summary()
            with JsonlWriter(self.run.events_path) as events:
                self.events = events
                if begun:
                    self._tell("data", self._account_of_pairs())
                    for reason in self.left_out:
                        self._tell("pair_skipped", reason)
                else:
                    self._tell("resume", f"The run in {self.folder} goes on.")
                if found:
                    self._tell("changes_accepted", "; ".join(found))
                started = time.perf_counter()
                try:
                    status: Status = self._protocol()
                except StageInterruptedError as asked:
                    status = "interrupted"
                    self._tell("end", str(asked))
                else:
                    events.write({"time": now(), "kind": "end", "reason": status})
                figures = metrics(self.folder, opened)
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
        return self._result(status, figures)

    def _account_of_pairs(self) -> str:
        config, found = self.opened.config, len(self.opened.pairs)
        fewer = config.count is not None and found < config.count
        return f"{counted(found, 'pair')} of {config.pairs.name}" + (
            f"; {config.count} were asked for, and the rest is left out" if fewer else ""
        )

    def _done(self) -> dict[str, Any] | None:
        """The result of a run that has ended for good; None where there is something left to do."""
        ended = self.run.summary()
        if ended is None or not (ended.status == "completed" or (ended.status == "stopped" and self.gated)):
            return None
        return self._result(ended.status, ended.metrics)

    def _result(self, status: Status, figures: dict[str, Any]) -> dict[str, Any]:
        return {
            "status": status,
            "metrics": figures,
            "gates": list(self.gates.values()),
            "folder": str(self.folder),
        }

    # --- the protocol ------------------------------------------------------------------------------------------------

    def _protocol(self) -> Status:
        opened, listed = self.opened, set(self.opened.config.stages)
        bench = Bench(self.folder, opened, self.watcher)
        bounds = self._bounds("baselines.jsonl", opened.pairs) if "baselines" in listed else {}
        seal_parts(self.folder)
        if "single" in listed and not self._open(stages.single(bench, bounds)):
            return "stopped"
        seal_parts(self.folder)
        if "joint" not in listed:
            return "completed"
        if not self._open([stages.joint(bench, bounds, self._record)]):
            return "stopped"
        memories = list(load_memories(self.folder / MEMORIES, opened.network.fingerprint))
        if memories:
            self._rows("controls.jsonl", ControlRow, lambda: self._controls(memories))
        for part in self._further(bench, bounds, memories):
            seal_parts(self.folder)
            part()
        return "completed"

    def _further(
        self, bench: Bench, bounds: Mapping[str, Bounds], memories: Sequence[Memory]
    ) -> Iterator[Callable[[], object]]:
        """The parts of the protocol that come after the joint stage."""
        opened, listed = self.opened, set(self.opened.config.stages)
        if "counterfactual" in listed:
            yield lambda: self._counterfactual(bench)
        if "paraphrases" in listed:
            yield lambda: stages.with_wordings(bench, self.wordings, bounds)
        if "generation" in listed:
            yield lambda: self._rows("generation.jsonl", GenerationRow, lambda: self._generation(memories))
        if "ablations" in listed and not (path := self.folder / "ablations.json").exists():
            yield lambda: write_json(path, to_json(ablations(bench, bounds)))
        if "analysis" in listed and memories:
            yield lambda: analyse(bench, memories, bounds, lambda: network_of(opened.config, "fp32"))

    def _bounds(self, name: str, pairs: Sequence[EncodedPair]) -> dict[str, Bounds]:
        opened = self.opened

        def make() -> list[dict[str, Any]]:
            look = Pace(self.watcher, f"Baselines of {counted(len(pairs), 'pair')}")
            return baseline_rows(opened.network, opened.modes, pairs, opened.tokenizer, opened.settings, look)

        return {row["pair"]: bounds_of(row) for row in self._rows(name, BaselineRow, make)}

    def _controls(self, memories: Sequence[Memory]) -> list[dict[str, Any]]:
        look = Pace(self.watcher, "Controls: another pair's vectors, and modes exchanged")
        return control_rows(self.opened.network, memories, self.opened.settings.positions, look)

    def _counterfactual(self, bench: Bench) -> None:
        opened, config = self.opened, self.opened.config
        try:
            made = counterfactuals([pair.pair for pair in opened.pairs[: config.single_pairs]], config.seed)
        except DataError as error:
            self._tell("stage_left_out", f"counterfactual: {error}")
            return
        pairs = opened.encoded(made).pairs
        stages.further(bench, "joint_counterfactual", pairs, self._bounds("baselines_counterfactual.jsonl", pairs))

    def _generation(self, memories: Sequence[Memory]) -> list[dict[str, Any]]:
        """Decodes of the memories, and of the best vectors of unsolved pairs: low loss without the text shows there."""
        opened, rows = self.opened, list[dict[str, Any]]()
        unsolved = stages.best_unsolved(self.folder, opened.network.fingerprint)
        every = len(memories) + len(unsolved)
        what = f"{len(memories)} memories and {len(unsolved)} unsolved pairs' best vectors"
        precision = opened.config.solve.precision
        for name in dict.fromkeys(("fp32", precision)):
            look = Pace(self.watcher, f"Greedy decoding in {name}: {what}")
            network = opened.network if name == precision else network_of(opened.config, name)
            for found, solved in ((memories, True), (unsolved, False)):
                for start in range(0, len(found), _DECODED):
                    look(start + (0 if solved else len(memories)), every)
                    part = found[start : start + _DECODED]
                    rows += generation_rows(network, name, part, opened.tokenizer, solved=solved)
        return rows

    # --- records -----------------------------------------------------------------------------------------------------

    def _rows(
        self, name: str, kind: type[Row], make: Callable[[], Iterable[Mapping[str, Any]]]
    ) -> list[dict[str, Any]]:
        """The rows of a file, made and written whole if it is not there."""
        path = self.folder / name
        if not path.exists():
            write_bytes(path, b"".join(encode_row(row) for row in make()))
        return read_rows(path, kind)

    def _open(self, gates: Sequence[Gate]) -> bool:
        """Record gates; whether the run goes on."""
        for one in gates:
            self._record(one)
        return all(one.passed for one in gates) or not self.gated

    def _record(self, found: Gate) -> None:
        """Record a gate and tell of it, unless an earlier part of the run did."""
        row = to_json(found.row())
        if self.gates.get(found.gate) != row:
            self.gates[found.gate] = row
            write_json(self.folder / GATES, list(self.gates.values()))
            self._tell("gate", f"{found.gate}: {found.message}")

    def _tell(self, kind: str, reason: str) -> None:
        self.events.write({"time": now(), "kind": kind, "reason": reason})
        self.watcher.say(reason)


def _gates(path: Path) -> dict[str, dict[str, Any]]:
    """The gates of an earlier part of a run, by name. Raises `RunError` for a damaged file."""
    if not path.exists():
        return {}
    try:
        return {row["gate"]: row for row in strict_json(read_regular(path))}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{path} is damaged: {error}. Restore it from a copy, or remove it: the gates are judged again."
        ) from error


def run_memory(config: MemoryConfig, out: Path, watcher: Watcher, **options: Any) -> dict[str, Any]:
    """Begin the memory run in `out` or go on with it; see `MemoryRun`."""
    return MemoryRun(config, out, watcher, **options).go()


class _Unseen:
    """A watcher that shows nothing, says when work begins that a stop would keep, and passes the request to stop on."""

    def __init__(self, context: RunContext) -> None:
        self._display, self.stop = context.display, context.stop

    def begin(self, stage: str, pairs: int) -> None:
        """From now on a signal is answered after a checkpoint."""
        if self._display is not None:
            self._display.begin(pairs)

    def step(self, stage: str, step: Step, solved: int, ended: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def run_episode(config: MemoryConfig, out: Path, context: RunContext) -> dict[str, Any]:
    """Run a memory run as an episode of an experiment, go on with it, or find it done; returns its `status`.

    Raises `RunError` that names what is not as it was when the run was begun.
    """
    run = RunDirectory(out)
    before = run.summary() if run.exists() else None
    result = MemoryRun(config, run.path, _Unseen(context), gated=context.gates, command=context.command).go()
    return {"status": result["status"], "reused": before is not None and before.status == "completed"}
