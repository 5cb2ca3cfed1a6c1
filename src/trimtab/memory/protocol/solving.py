"""A solver run to its end in a folder: its candidates and steps as records, its state in checkpoints; a kill loses nothing."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trimtab.boundary import counted
from trimtab.errors import RunError
from trimtab.memory.engine.solve import Finished, Solver, Step
from trimtab.memory.protocol.candidates import curve_shape, thinned
from trimtab.records import JsonlWriter, now, read_rows, to_json, truncate
from trimtab.records.atomic import clean_leftovers, write_json
from trimtab.records.hashing import Seal
from trimtab.records.integrity import differing
from trimtab.records.memory_rows import CandidateRow
from trimtab.runtime.checkpoint import Snapshot, drop_after, newest_sound, prune, write_checkpoint

SIDES = ("question", "answer")
DONE = "done.json"
"""Is in the folder of a stage that has ended."""
RECORDS = ("candidates.jsonl", "steps.jsonl")
"""The files of a stage's rows."""


class Watcher(Protocol):
    """Shows how far a run is, and says whether it should stop."""

    def begin(self, stage: str, pairs: int) -> None:
        """A stage begins."""
        ...

    def step(self, stage: str, step: Step, solved: int, ended: int) -> None:
        """The engine made a step."""
        ...

    def say(self, text: str) -> None:
        """Something to tell."""
        ...

    def stop(self) -> str | None:
        """The reason to stop, or None."""
        ...


@dataclass(frozen=True)
class Bounds:
    """The bounds for a pair's losses: of each side, the loss under random vectors and the loss in the full context."""

    random: Mapping[str, float]
    context: Mapping[str, float]

    def ceiling(self, side: str) -> float:
        """The strict criterion's: 0.3 of the loss under random vectors."""
        return 0.3 * self.random[side]

    def lenient(self, side: str) -> float:
        """The lenient criterion's: that, or twice the loss in the full context."""
        return max(self.ceiling(side), 2.0 * self.context[side])


class StageInterruptedError(Exception):
    """The run was asked to stop, and what it has is in a checkpoint."""


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
    bounds: Mapping[str, Bounds],
    watcher: Watcher,
    *,
    sides: tuple[str, ...] = SIDES,
    checkpoint_every: int = 10,
    keep: Callable[[Finished], None] = lambda finished: None,
    look: Callable[[int, int, int], None] = lambda before, ended, solved: None,
) -> list[dict[str, Any]]:
    """Run a solver to its end and return its candidates' rows, or find it run.

    `sides` names the solver's judged branches in their order. `keep` is called with every candidate as it ends, before its row
    is written; `look` with how many pairs had a candidate that ended before a step, how many have now, and how many of them are
    solved. A stage that was killed goes on from its last checkpoint and gives the rows that it would have given. Raises
    `StageInterruptedError` when the watcher asks for a stop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / DONE
    if done.exists():
        return read_rows(folder / "candidates.jsonl", CandidateRow)
    _restore(folder, solver)
    watcher.begin(folder.name, len(solver.tasks))
    with JsonlWriter(folder / "candidates.jsonl") as candidates, JsonlWriter(folder / "steps.jsonl") as steps:
        ended = _Ended(read_rows(folder / "candidates.jsonl"), solver.settings.restarts)
        if solver.steps:
            watcher.say(
                f"{folder.name} goes on after step {solver.steps}, with {counted(len(ended.solved), 'pair')} solved."
            )
        while not solver.done:
            step, before = solver.step(), len(ended.tried)
            for finished in step.finished:
                keep(finished)
                row = candidate_row(finished, bounds.get(finished.pair), sides)
                candidates.write(row)
                ended.add(row)
            steps.write(
                {
                    "step": step.number,
                    "in_flight": step.in_flight,
                    "positions": step.positions,
                    "seconds": step.seconds,
                    "mean_loss": step.mean_loss,
                    "solved": len(ended.solved),
                    "waiting": step.waiting,
                }
            )
            watcher.step(folder.name, step, len(ended.solved), len(ended.pairs))
            if step.finished:
                look(before, len(ended.tried), len(ended.solved))
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


def candidate_row(finished: Finished, bounds: Bounds | None, sides: tuple[str, ...]) -> dict[str, Any]:
    """The row of a candidate that ended; a side that was not asked for has null."""
    losses = {side: finished.losses[:, index] for index, side in enumerate(sides)}
    total = np.sum([losses[side] for side in sides], axis=0)
    lenient: int | None = None
    if bounds is not None:
        within = np.all([losses[side] < bounds.lenient(side) for side in sides], axis=0)
        lenient = int(within.argmax()) if within.any() else None

    def at(step: int) -> dict[str, float | None]:
        return {side: float(losses[side][step]) if side in losses else None for side in SIDES}

    return {
        "pair": finished.pair,
        "restart": finished.restart,
        "status": finished.status,
        "steps": finished.steps,
        "seconds": finished.seconds,
        "lenient_step": lenient,
        "loss": at(-1),
        "margin": finished.margin,
        "loss_at_start": at(0),
        "start_converged": finished.status == "solved" and finished.steps == 0,
        "start_lenient": lenient == 0,
        "curve": [[step, *at(step).values()] for step in thinned(finished.losses)],
        "shape": curve_shape(total),
    }


class _Ended:
    """The pairs that are solved, those that no restart is left for, and those of which some candidate has ended (`tried`)."""

    def __init__(self, rows: list[dict[str, Any]], restarts: int) -> None:
        self.restarts = restarts
        self.tried: set[str] = set()
        self.pairs: set[str] = set()
        self.solved: set[str] = set()
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """A candidate ended."""
        self.tried.add(row["pair"])
        if row["status"] == "solved":
            self.solved.add(row["pair"])
        if row["status"] == "solved" or row["restart"] + 1 >= self.restarts:
            self.pairs.add(row["pair"])


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
    """The newest sound checkpoint up to which the stage's rows are as they were written; step 0 where there is none yet.

    Raises `RunError` where the rows were altered before every checkpoint.
    """
    found, wrong = newest_sound(folder / "checkpoints"), list[str]()
    while found is not None:
        step, snapshot, records, _ = found
        wrong = differing(folder, records, whole=False)
        if not wrong:
            return step, snapshot, records
        found = newest_sound(folder / "checkpoints", at_most=step - 1)
    if wrong:
        raise RunError(
            f"The stage in {folder} cannot go on: {'; '.join(wrong)}. Restore the rows from a copy, or remove {folder}: it "
            "then begins again."
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
