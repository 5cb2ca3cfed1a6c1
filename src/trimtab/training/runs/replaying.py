"""Training a recorded run again and comparing it with its records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.config import RunError, allowing_code
from trimtab.records import Difference, Parent, RunDirectory, tensors_sha256
from trimtab.records.checkpoints import checkpoint_path, checkpoint_steps
from trimtab.records.integrity import altered
from trimtab.runtime.checkpoint import Snapshot, read_checkpoint
from trimtab.runtime.events import OnEvent
from trimtab.training.runs.conditions import conditions_now, differences
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import last_attempt_at, rerun, state_of_parent


@dataclass(frozen=True)
class Replay:
    """The result of a replay to step `until`.

    `steps` is the number of losses that were compared, of `expected` that the records should hold. `weights_identical` is None
    when the records hold no weights of the last step. `changes` are the conditions and files that have changed since the run was
    recorded; `notes` say why the replay ended before the run did or started from another state. Each is one phrase.
    """

    until: int
    steps: int
    difference: Difference | None
    weights_identical: bool | None
    weights_recorded: str | None
    weights_replayed: str
    expected: int
    changes: list[str]
    notes: list[str]

    @property
    def losses_identical(self) -> bool:
        """Whether every expected loss was compared and equals the recorded one."""
        return self.difference is None and self.steps == self.expected

    @property
    def identical(self) -> bool:
        """Whether every loss equals the recorded one, and so do the weights if they were recorded."""
        return self.losses_identical and self.weights_identical is not False


@dataclass(frozen=True)
class _Goal:
    """The step that a replay ends with, the recorded hash of the weights there or None, and why it is not a later step."""

    step: int
    weights: str | None
    notes: list[str]


def replay(path: Path | str, events: OnEvent | None = None, *, allow_code: bool = False) -> Replay:
    """Train the run in `path` again from its beginning (a fork: from its parent's step), in memory.

    The replay ends with the run's last step or at the first step that differs. Raises `RunError` for a run without a step, and
    for one whose config names code by a dotted path (unless `allow_code`).
    """
    with allowing_code(allow_code):
        return _replay(RunDirectory(path), events)


def _replay(run: RunDirectory, events: OnEvent | None) -> Replay:
    manifest = run.manifest()
    config = recorded_config(manifest, run)
    rows = run.steps()
    goal = _goal(run, rows)
    first_step, start, notes = 0, None, goal.notes
    if manifest.parent is not None:
        first_step = manifest.parent.step
        start, refused = _start(run, manifest.parent, events)
        notes = [*notes, *refused]
    if goal.step <= first_step:
        raise RunError(" ".join([f"The run in {run.path} has no step to replay yet.", *notes]))
    until = (last_attempt_at(rows, goal.step) if rows else _attempt(run, goal.step), goal.step)
    snapshot, log = rerun(run, start, until, events, strict=False)
    replayed = tensors_sha256(snapshot.model)
    same = None if goal.weights is None or log.difference is not None else goal.weights == replayed
    changes = altered(run.path, run.summary()) + differences(manifest, conditions_now(config, events))
    changes += [
        f"at step {row['step']} the run was resumed with a change: {change}"
        for row in run.events()
        if row["kind"] == "resume"
        for change in row["after"]["changes"]
    ]
    recorded = sum((row.get("attempt", 0), row["step"]) <= until for row in rows)
    expected = max(recorded, len(log.steps))
    return Replay(goal.step, log.compared, log.difference, same, goal.weights, replayed, expected, changes, notes)


def _start(run: RunDirectory, parent: Parent, events: OnEvent | None) -> tuple[Snapshot | None, list[str]]:
    """The state that a fork started from, and why it is not read from the fork's first checkpoint where that is damaged.

    Where the first checkpoint is gone, the state is made from the parent.
    """
    refused = []
    if parent.step in checkpoint_steps(run.checkpoints_path):
        try:
            return read_checkpoint(checkpoint_path(run.checkpoints_path, parent.step))[0], []
        except RunError as error:
            refused = [f"{error} So the replay started from the state of the parent in {parent.path}."]
    return state_of_parent(parent, events), refused


def _attempt(run: RunDirectory, step: int) -> int:
    """The attempt that the checkpoint of a step belongs to, for a run whose rows are gone."""
    try:
        snapshot, _ = read_checkpoint(checkpoint_path(run.checkpoints_path, step))
    except RunError:
        return 0
    return int(snapshot.counters["attempt"])


def _goal(run: RunDirectory, rows: list[dict[str, Any]]) -> _Goal:
    """The last step whose weights are known; the last recorded step when there is none."""
    summary, last = run.summary(), max((row["step"] for row in rows), default=0)
    if summary is not None and summary.weights_sha256 is not None:
        return _Goal(summary.steps, summary.weights_sha256, [])
    refused: list[str] = []
    for step in reversed(checkpoint_steps(run.checkpoints_path)):
        try:
            snapshot, _ = read_checkpoint(checkpoint_path(run.checkpoints_path, step))
        except RunError as error:
            refused.append(str(error))
            continue
        if refused or last > step:
            later = f", and the records end with step {last}" if last > step else ""
            refused.append(f"The newest sound checkpoint is of step {step}{later}; the replay ends there.")
        return _Goal(step, tensors_sha256(snapshot.model), refused)
    if refused:
        refused.append(f"No checkpoint is sound, so only the losses up to step {last} can be compared.")
    return _Goal(last, None, refused)
