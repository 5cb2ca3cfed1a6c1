"""Runs a solver in the folder of a stage: records candidates and steps, writes checkpoints, and resumes after a kill."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trimtab.boundary import counted
from trimtab.errors import RunError
from trimtab.memory.engine.solve import FinishedCandidate, Solver
from trimtab.memory.protocol.candidates import SIDES, LossBounds, PairProgress, candidate_row
from trimtab.records import JsonlWriter, now, read_rows, to_json, truncate
from trimtab.records.atomic import clean_leftovers, write_json
from trimtab.records.hashing import Seal
from trimtab.records.integrity import differing
from trimtab.records.memory_rows import CandidateRow
from trimtab.runtime.checkpoint import Snapshot, drop_after, newest_sound, prune, write_checkpoint
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import Message, Progress, Stage, Step

DONE = "done.json"
"""Marks the folder of a finished stage."""
RECORDS = ("candidates.jsonl", "steps.jsonl")
"""The files of a stage's rows: finished candidates, and steps of the solver."""


class StageInterruptedError(Exception):
    """A stop was requested; the work so far is in a checkpoint."""


def check_stop(context: RunContext) -> None:
    """Raise `StageInterruptedError` when the caller asks for a stop."""
    if (reason := context.stop()) is not None:
        raise StageInterruptedError(reason)


class Blocks:
    """Called between the blocks of a long part of the protocol: emits its progress and checks for a request to stop.

    Constructing it emits the beginning of the stage `name`.
    """

    def __init__(self, context: RunContext, name: str) -> None:
        self._context, self._name = context, name
        check_stop(context)
        context.emit(Stage(name, "block"))

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` blocks are done. Raises `StageInterruptedError` when a stop is requested."""
        check_stop(self._context)
        self._context.emit(Progress(self._name, "block", done, total))


def run_stage(
    folder: Path,
    solver: Solver,
    bounds: Mapping[str, LossBounds],
    context: RunContext,
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
    uninterrupted one. Raises `StageInterruptedError` when the caller asks for a stop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / DONE
    if done.exists():
        return read_rows(folder / "candidates.jsonl", CandidateRow)
    _restore(folder, solver)
    with JsonlWriter(folder / "candidates.jsonl") as candidates, JsonlWriter(folder / "steps.jsonl") as steps:
        pairs = PairProgress(read_rows(folder / "candidates.jsonl"), solver.settings.restarts)
        context.emit(Stage(folder.name, "pair", len(solver.pairs), len(pairs.done)))
        if solver.steps:
            solved = counted(len(pairs.solved), "pair")
            context.emit(Message(f"{folder.name} continues after step {solver.steps}, with {solved} solved."))
        while not solver.done:
            step, before = solver.step(), len(pairs.tried)
            for finished in step.finished:
                keep(finished)
                row = candidate_row(finished, bounds.get(finished.pair), sides)
                candidates.write(row)
                pairs.add(row)
            step_row = {
                "step": step.number,
                "in_flight": step.in_flight,
                "positions": step.positions,
                "seconds": step.seconds,
                "mean_loss": step.mean_loss,
                "solved": len(pairs.solved),
                "waiting": step.waiting,
            }
            steps.write(step_row)
            if context.events is not None:
                context.events(Progress(folder.name, "pair", len(pairs.done), len(solver.pairs)))
                context.events(Step(to_json(step_row), folder.name))
            if step.finished:
                on_finished(before, len(pairs.tried), len(pairs.solved))
            if solver.done:
                break
            reason = context.stop()
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
