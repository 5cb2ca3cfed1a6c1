"""Runs a solver in the folder of a stage: records candidates and steps, writes checkpoints, and resumes after a kill."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from trimtab.boundary import counted
from trimtab.errors import RunError
from trimtab.memory.engine.solve import FinishedCandidate, Solver, SolverStep
from trimtab.memory.protocol.candidates import SIDES, LossBounds, PairProgress, candidate_row
from trimtab.records import JsonlWriter, now, read_rows, to_json, truncate
from trimtab.records.atomic import clean_leftovers, write_json
from trimtab.records.hashing import Seal
from trimtab.records.integrity import differing
from trimtab.records.memory_rows import CandidateRow
from trimtab.runtime.checkpoint import Snapshot, drop_after, newest_sound, prune, write_checkpoint

DONE = "done.json"
"""Marks the folder of a finished stage."""
RECORDS = ("candidates.jsonl", "steps.jsonl")
"""The files of a stage's rows: finished candidates, and steps of the solver."""


class Watcher(Protocol):
    """Shows how far a run is, and says whether it should stop."""

    def begin(self, stage: str, pairs: int) -> None:
        """A stage begins."""
        ...

    def step(self, stage: str, step: SolverStep, solved: int, ended: int) -> None:
        """The engine made a step."""
        ...

    def say(self, text: str) -> None:
        """Something to tell."""
        ...

    def stop(self) -> str | None:
        """The reason to stop, or None."""
        ...


class StageInterruptedError(Exception):
    """A stop was requested; the work so far is in a checkpoint."""


def heed(watcher: Watcher) -> None:
    """Raise `StageInterruptedError` when the watcher asks for a stop."""
    if (reason := watcher.stop()) is not None:
        raise StageInterruptedError(reason)


class Pace:
    """Between blocks of work: heeds a stop, and tells every `EVERY` seconds how much is done. Says what the work is at once."""

    EVERY = 15.0

    def __init__(self, watcher: Watcher, what: str) -> None:
        self._watcher, self._what, self._told = watcher, what, time.monotonic()
        heed(watcher)
        watcher.say(f"{what}.")

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` parts are done. Raises `StageInterruptedError` when a stop is asked for."""
        heed(self._watcher)
        if time.monotonic() - self._told > self.EVERY:
            self._told = time.monotonic()
            self._watcher.say(f"{self._what}: {done / total:.0%}")


def run_stage(
    folder: Path,
    solver: Solver,
    bounds: Mapping[str, LossBounds],
    watcher: Watcher,
    *,
    sides: tuple[str, ...] = SIDES,
    checkpoint_every: int = 10,
    keep: Callable[[FinishedCandidate], None] = lambda finished: None,
    on_finished: Callable[[int, int, int], None] = lambda before, tried, solved: None,
) -> list[dict[str, Any]]:
    """Run a solver to its end and return the rows of its candidates; a finished stage is only read.

    `sides` names the solver's judged branches in order. `keep` is called with every finished candidate, before its row is
    written. `on_finished` is called after a step in which candidates finished, with three numbers: pairs tried before the step,
    pairs tried now, and pairs solved. A killed stage continues from its last checkpoint and gives the same rows as an
    uninterrupted one. Raises `StageInterruptedError` when the watcher asks for a stop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / DONE
    if done.exists():
        return read_rows(folder / "candidates.jsonl", CandidateRow)
    _restore(folder, solver)
    watcher.begin(folder.name, len(solver.pairs))
    with JsonlWriter(folder / "candidates.jsonl") as candidates, JsonlWriter(folder / "steps.jsonl") as steps:
        pairs = PairProgress(read_rows(folder / "candidates.jsonl"), solver.settings.restarts)
        if solver.steps:
            watcher.say(
                f"{folder.name} continues after step {solver.steps}, with {counted(len(pairs.solved), 'pair')} solved."
            )
        while not solver.done:
            step, before = solver.step(), len(pairs.tried)
            for finished in step.finished:
                keep(finished)
                row = candidate_row(finished, bounds.get(finished.pair), sides)
                candidates.write(row)
                pairs.add(row)
            steps.write(
                {
                    "step": step.number,
                    "in_flight": step.in_flight,
                    "positions": step.positions,
                    "seconds": step.seconds,
                    "mean_loss": step.mean_loss,
                    "solved": len(pairs.solved),
                    "waiting": step.waiting,
                }
            )
            watcher.step(folder.name, step, len(pairs.solved), len(pairs.done))
            if step.finished:
                on_finished(before, len(pairs.tried), len(pairs.solved))
            if solver.done:
                break
            reason = watcher.stop()
            if reason is not None or solver.steps % checkpoint_every == 0:
                _checkpoint(folder, solver, candidates, steps)
            if reason is not None:
                raise StageInterruptedError(reason)
        candidates.flush(sync=True)
        steps.flush(sync=True)
    write_json(done, {"ended_at": now(), "steps": solver.steps, "positions": solver.positions})
    prune(folder / "checkpoints", 1)
    return read_rows(folder / "candidates.jsonl", CandidateRow)


def _checkpoint(folder: Path, solver: Solver, candidates: JsonlWriter, steps: JsonlWriter) -> None:
    vectors, moments, values = solver.state()
    for writer in (candidates, steps):
        writer.flush(sync=True)
    records = {"candidates.jsonl": candidates.seal(), "steps.jsonl": steps.seal()}
    write_checkpoint(
        folder / "checkpoints",
        Snapshot(vectors, moments, to_json({**values, "step": solver.steps})),
        records,
        command="trimtab memory run",
    )
    prune(folder / "checkpoints", 2)


def _newest_fitting(folder: Path) -> tuple[int, Snapshot | None, Mapping[str, Seal]]:
    """The newest valid checkpoint whose rows are unchanged; step 0 if there is no checkpoint.

    Raises `RunError` if the rows before every checkpoint were changed.
    """
    newest, wrong = newest_sound(folder / "checkpoints"), list[str]()
    while newest is not None:
        step, snapshot, records, _ = newest
        wrong = differing(folder, records, whole=False)
        if not wrong:
            return step, snapshot, records
        newest = newest_sound(folder / "checkpoints", at_most=step - 1)
    if wrong:
        raise RunError(
            f"The stage in {folder} cannot continue: {'; '.join(wrong)}. Restore the rows from a copy, or remove {folder} to "
            "start the stage again."
        )
    return 0, None, {}


def _restore(folder: Path, solver: Solver) -> None:
    checkpoints = folder / "checkpoints"
    clean_leftovers(checkpoints)
    step, snapshot, records = _newest_fitting(folder)
    for name in RECORDS:
        if (folder / name).exists():
            truncate(folder / name, records[name].bytes if name in records else 0)
    drop_after(checkpoints, step)
    if snapshot is not None:
        solver.restore(snapshot.model, snapshot.optimizer, snapshot.values)
