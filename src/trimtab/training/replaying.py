"""A recorded run made again, and held against its records."""

from dataclasses import dataclass
from pathlib import Path

from trimtab.config import RunError
from trimtab.data import Progress
from trimtab.records import Difference, Parent, RunDirectory, tensors_sha256
from trimtab.training.assembly import assemble
from trimtab.training.checkpoint import Snapshot, checkpoint_path, checkpoint_steps, read_checkpoint
from trimtab.training.lifecycle import differences, recorded_config
from trimtab.training.trunk import passage, rerun, trunk


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    `steps` of the `expected` steps that were made again stand in the records and were compared; `changes` says what is not
    as it was recorded. `weights_identical` is None when the records hold no weights at the last step compared.
    """

    steps: int
    difference: Difference | None
    weights_identical: bool | None
    weights_recorded: str | None
    weights_replayed: str
    expected: int
    changes: list[str]

    @property
    def identical(self) -> bool:
        """Whether every loss and the weights are the recorded ones."""
        return self.difference is None and self.weights_identical is not False and self.steps == self.expected


def replay(path: Path | str, progress: Progress | None = None) -> Replay:
    """Make the run in `path` again from its beginning (a fork: from its parent's step), in memory.

    It ends with the run's last step or at the first step that differs. Raises `RunError` for a run without a step.
    """
    run = RunDirectory(path)
    manifest = run.manifest()
    config = recorded_config(manifest, run)
    begun = manifest.parent.step if manifest.parent is not None else 0
    start = None if manifest.parent is None else _start(run, manifest.parent, progress)
    until, recorded = _last_weights(run)
    if until <= begun:
        raise RunError(f"The run in {run.path} has no step to replay yet.")
    snapshot, log = rerun(run, start, (passage(run.steps(), until), until), progress, strict=False)
    replayed = tensors_sha256(snapshot.model)
    same = None if recorded is None or log.difference is not None else recorded == replayed
    changes = differences(manifest, assemble(config, progress))
    changes += [
        f"at step {row['step']} the run went on with changes: {change}"
        for row in run.events()
        if row["kind"] == "resume"
        for change in row["after"]["changes"]
    ]
    return Replay(log.compared, log.difference, same, recorded, replayed, len(log.steps), changes)


def _start(run: RunDirectory, parent: Parent, progress: Progress | None) -> Snapshot | None:
    """The state that a fork's child began with: its own first checkpoint while it is kept, else made from its parent."""
    if parent.step in checkpoint_steps(run.checkpoints_path):
        return read_checkpoint(checkpoint_path(run.checkpoints_path, parent.step))[0]
    return trunk(Path(parent.path), parent.step, progress)


def _last_weights(run: RunDirectory) -> tuple[int, str | None]:
    """The last step whose weights are known, and their hash; the last recorded step when there is none."""
    summary = run.summary()
    if summary is not None and summary.weights_sha256 is not None:
        return summary.steps, summary.weights_sha256
    for step in reversed(checkpoint_steps(run.checkpoints_path)):
        try:
            snapshot, _ = read_checkpoint(checkpoint_path(run.checkpoints_path, step))
        except RunError:
            continue  # a damaged one says nothing; an earlier one may
        return step, tensors_sha256(snapshot.model)
    rows = run.steps()
    return (rows[-1]["step"] if rows else 0), None
