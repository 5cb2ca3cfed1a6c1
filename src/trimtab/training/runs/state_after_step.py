"""The state of a recorded run after any of its steps: the nearest checkpoint, then an exact replay."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trimtab.config import RunError, WorkError
from trimtab.records import Difference, Parent, RunDirectory, rows_difference, to_json
from trimtab.records.rows import StepRow
from trimtab.runtime.checkpoint import Snapshot, newest_sound
from trimtab.runtime.events import OnEvent
from trimtab.runtime.logger import MemoryLogger
from trimtab.runtime.nested import join
from trimtab.training.loop.trainer import Trainer
from trimtab.training.runs.assembly import Assembly, assemble
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.untrained import untrained_objective

Position = tuple[int, int]
"""Attempt and step. A run that rewound passes some steps more than once, each time under another attempt."""


class Rerun(MemoryLogger):
    """Compares the rows of a run that is trained again with the recorded ones; stops it at a difference, or at `until`.

    `reached` says whether the run has reached `until`.
    """

    def __init__(self, recorded: list[dict[str, Any]], until: Position) -> None:
        super().__init__()
        self.recorded = {(row.get("attempt", 0), row["step"]): row for row in recorded}
        self.until = until
        self.compared = 0
        self.difference: Difference | None = None
        self.reached: Callable[[], bool] = lambda: False

    def step(self, row: Mapping[str, Any]) -> None:
        """Compare a step with the recorded one."""
        super().step(row)
        known = self.recorded.get((row["attempt"], row["step"]))
        if known is None or "train_loss" not in known or self.difference is not None:
            return
        self.compared += 1
        self.difference = rows_difference([known], [StepRow.values(to_json(row))])

    def stop(self) -> str | None:
        """A reason to stop once `until` is reached or a row differs; None before."""
        return "replayed" if self.reached() or self.difference is not None else None


def last_attempt_at(rows: list[dict[str, Any]], step: int) -> int:
    """The last attempt in which the recorded run continued from `step`; after a rewind to it, the one that the rewind started."""
    return max((row.get("attempt", 0) for row in rows if row["step"] <= step + 1), default=0)


def state_after_step(path: Path, at: int, events: OnEvent | None = None) -> Snapshot | None:
    """The state of the run in `path` after step `at`; None for step 0 of a run that is not a fork itself.

    For a run that rewound, it is the state from which the run finally continued (see `last_attempt_at`). Raises the same errors
    as `state_at`.
    """
    return state_at(path, (last_attempt_at(RunDirectory(path).steps(), at), at), events)


def state_at(path: Path, position: Position, events: OnEvent | None = None) -> Snapshot | None:
    """The state of the run in `path` after a step of one of its attempts, also of one that a rewind ended.

    None for the beginning of a run that is not a fork. Raises `RunError` when the run has no such step, `WorkError` when the
    replay differs from the records.
    """
    run = RunDirectory(path)
    manifest = run.manifest()
    first_step, at = manifest.parent.step if manifest.parent is not None else 0, position[1]
    recorded = run.steps()
    last = recorded[-1]["step"] if recorded else first_step
    if position[0] == last_attempt_at(recorded, at) and not first_step <= at <= last:
        raise RunError(f"The run in {path} has steps {first_step} to {last}; step {at} is not among them.")
    start = _newest_before(run, position, first_step)
    if start is None:
        start = _beginning(run, events)
    if _position(start, first_step) == position:
        return start
    return rerun(run, start, position, events)[0]


def _newest_before(run: RunDirectory, position: Position, first_step: int) -> Snapshot | None:
    """The newest sound checkpoint before `position`. A later attempt may have left checkpoints of earlier steps."""
    at_most = position[1]
    while (newest := newest_sound(run.checkpoints_path, at_most=at_most)) is not None:
        step, snapshot = newest[:2]
        if _position(snapshot, first_step) <= position:
            return snapshot
        at_most = step - 1
    return None


def _beginning(run: RunDirectory, events: OnEvent | None) -> Snapshot | None:
    parent = run.manifest().parent
    return None if parent is None else state_of_parent(parent, events)


def state_of_parent(parent: Parent, events: OnEvent | None = None) -> Snapshot | None:
    """The state that a fork started from, made from its parent's records; None for step 0 of a parent that is not a fork.

    Raises `RunError` when the folder that the fork names holds another run, and the errors of `state_at`.
    """
    run_id = RunDirectory(parent.path).manifest().run_id
    if run_id != parent.run_id:
        raise RunError(
            f"This run is a fork of the run {parent.run_id}, and {parent.path} now holds the run {run_id}. The fork's "
            f"first state is made from its parent's records. Move the run {parent.run_id} back there."
        )
    return state_after_step(Path(parent.path), parent.step, events)


def _position(snapshot: Snapshot | None, first_step: int) -> Position:
    """Attempt and step of a state; None is the beginning."""
    if snapshot is None:
        return 0, first_step
    return int(snapshot.counters["attempt"]), int(snapshot.counters["step"])


def restore_run(
    assembly: Assembly,
    trainer: Trainer,
    snapshot: Snapshot,
    run_id: str | None,
    parent: Parent | None,
    overridden: frozenset[str] = frozenset(),
) -> None:
    """Set the trainer of an `assembly` to a state of its own run, or to its parent's with the fork's changes.

    If the loss function is not that of the state, divergence is judged against the untrained model's value of the new one.
    """
    forked = parent if run_id is None or snapshot.counters["run_id"] != run_id else None
    changed = frozenset[str]() if forked is None else frozenset(forked.changed)
    if trainer.restore(snapshot, overridden | changed):
        trainer.state.divergence.restart(untrained_objective(assembly))
    if forked is not None and forked.controller is not None:
        trainer.state.controller.load_state_dict(join(forked.controller, {}))


def rerun(
    run: RunDirectory, start: Snapshot | None, until: Position, events: OnEvent | None = None, *, strict: bool = True
) -> tuple[Snapshot, Rerun]:
    """Train a recorded run again from `start` (None: from its beginning) to `until`, in memory.

    With `strict` a difference from the records raises `WorkError`; without, it ends the rerun and is part of the result.
    """
    manifest = run.manifest()
    assembly = assemble(recorded_config(manifest, run), events)
    log = Rerun(run.steps(), until)
    trainer = assembly.trainer(log, log.stop)
    if start is not None:
        restore_run(assembly, trainer, start, manifest.run_id, manifest.parent)
    trainer.state.run_id = manifest.run_id
    log.reached = lambda: (trainer.state.attempt, trainer.state.step) >= log.until
    if not log.reached():
        trainer.train(assembly.train_loader, assembly.val_loader)
    if strict and log.difference is None and trainer.state.step != until[1]:
        raise WorkError(
            f"The run in {run.path} could not be replayed to step {until[1]}: it ended at {trainer.state.step}."
        )
    if strict and log.difference is not None:
        raise WorkError(
            f"Training the run in {run.path} again to step {until[1]} gave other numbers than its records (A recorded, B "
            f"again): {log.difference.message}. `trimtab replay {run.path}` says what has changed since. A step that has a "
            "checkpoint needs no such replay; choose one."
        )
    return trainer.state.snapshot().copied(), log
