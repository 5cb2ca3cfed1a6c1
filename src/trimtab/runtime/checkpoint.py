"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all, and is verified when read."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from trimtab.boundary import foreign, kind_of_file
from trimtab.config import RunError, WorkError
from trimtab.records.atomic import atomic_directory, remove_tree_atomically, write_json
from trimtab.records.checkpoints import FORMAT, checkpoint_path, checkpoint_steps, read_state
from trimtab.records.failures import write_failure
from trimtab.records.hashing import Seal, seal_of, tensors_sha256
from trimtab.records.manifest import with_checksum


@dataclass(frozen=True)
class Snapshot:
    """A whole `TrainState` as data: the model's tensors, the optimiser's and hooks' tensors, and everything else as JSON."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    values: dict[str, Any]

    @property
    def counters(self) -> dict[str, Any]:
        """What the state counts, and the run that it belongs to. Raises RunError for a state of another shape."""
        counters = self.values.get("counters")
        if not isinstance(counters, dict) or not counters.keys() >= {"step", "attempt", "run_id"}:
            raise RunError(
                "The state.json of a checkpoint does not say which step it is of. Restore it from a copy, or remove that "
                "checkpoint: an older one is used then."
            )
        return counters

    def copied(self) -> "Snapshot":
        """The same with tensors of its own."""
        return Snapshot(
            {name: tensor.clone() for name, tensor in self.model.items()},
            {name: tensor.clone() for name, tensor in self.optimizer.items()},
            self.values,
        )


def write_checkpoint(folder: Path, snapshot: Snapshot, records: Mapping[str, Seal], command: str | None = None) -> Path:
    """Write a snapshot; `records` are the JSONL files that belong to it, as they are now. Returns its folder.
    `command` is the command that the error message tells the user to continue with; None means `trimtab resume` of the run.

    Raises `WorkError` when the disk refuses; the message says which checkpoint the run can continue from. Nothing half-written
    is left, and older checkpoints are untouched.
    """
    target = checkpoint_path(folder, int(snapshot.values["step"]))
    try:
        _write(target, snapshot, records)
    except WorkError as error:
        if not isinstance(cause := error.__cause__, OSError):
            raise
        earlier = checkpoint_steps(folder)
        whole = (
            f"The run continues from the checkpoint of step {earlier[-1]}, which is complete."
            if earlier
            else ("This was the first checkpoint, so the run starts again, under the same config.")
        )
        again = f"continue with `{command or f'trimtab resume {folder.parent}'}`. {whole}"
        raise write_failure(Path(cause.filename or target), cause, again) from cause
    return target


def _write(target: Path, snapshot: Snapshot, records: Mapping[str, Seal]) -> None:
    with atomic_directory(target, replace=True) as temporary:
        files = {"model.safetensors": snapshot.model, "optimizer.safetensors": snapshot.optimizer}
        sealed = {}
        for name, tensors in files.items():
            path = temporary / name
            try:
                safetensors.torch.save_file({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}, path)
            except safetensors.SafetensorError as error:
                number = re.search(r"os error (\d+)", str(error))
                raise OSError(int(number[1]) if number else 0, str(error), str(target / name)) from error
            sealed[name] = seal_of(path).model_dump()
        content = {
            "format": FORMAT,
            "step": int(snapshot.values["step"]),
            "weights_sha256": tensors_sha256(snapshot.model),
            "files": sealed,
            "records": {name: seal.model_dump() for name, seal in records.items()},
            "values": snapshot.values,
        }
        write_json(temporary / "state.json", with_checksum(content))


def read_checkpoint(path: Path) -> tuple[Snapshot, dict[str, Seal]]:
    """The snapshot in a checkpoint folder and its records as they were then.

    Every byte is verified first. Raises `RunError` naming the file for a missing, truncated or altered one.
    """
    if not path.is_dir():
        if (kind := kind_of_file(path)) is not None:
            raise RunError(f"The checkpoint {path} is damaged: it is {kind}, not a folder.")
        there = ", ".join(str(step) for step in checkpoint_steps(path.parent)) or "none"
        raise RunError(f"There is no checkpoint {path}. The steps that have one: {there}.")
    state = read_state(path)
    tensors = []
    for name in ("model.safetensors", "optimizer.safetensors"):
        file, sealed = path / name, state.files.get(name)
        if sealed is None:
            raise RunError(f"The checkpoint {path} is damaged: {name} is not listed in state.json.")
        if not file.is_file():
            kind = kind_of_file(file)
            wrong = "is missing" if kind is None else f"is {kind}, not a regular file"
            raise RunError(f"The checkpoint {path} is damaged: {name} {wrong}.")
        size = file.stat().st_size
        if size != sealed.bytes or seal_of(file).sha256 != sealed.sha256:
            raise RunError(
                f"The checkpoint {path} is damaged: {name} does not match its recorded hash (recorded: "
                f"{sealed.bytes} bytes, SHA-256 {sealed.sha256[:12]}…; found: {size} bytes with another hash)."
            )
        with foreign(RunError, partial("The checkpoint {} is damaged: {}: {}.".format, path, name)):
            tensors.append(safetensors.torch.load_file(file))
    return Snapshot(tensors[0], tensors[1], state.values), state.records


def newest_sound(folder: Path, at_most: int | None = None) -> tuple[int, Snapshot, dict[str, Seal], list[str]] | None:
    """The newest checkpoint (of step `at_most` or before) that verifies, and why newer ones were refused.

    None if there is no such checkpoint. Raises `RunError` if there are some and none verifies.
    """
    refused: list[str] = []
    for step in reversed(checkpoint_steps(folder)):
        if at_most is not None and step > at_most:
            continue
        try:
            snapshot, records = read_checkpoint(checkpoint_path(folder, step))
        except RunError as error:
            refused.append(str(error))
            continue
        return step, snapshot, records, refused
    if refused:
        raise RunError(f"No checkpoint in {folder} is intact. {' '.join(refused)}")
    return None


def prune(folder: Path, keep: int, protected: Collection[int] = ()) -> None:
    """Remove all but the newest `keep` checkpoints and those of the `protected` steps."""
    for step in checkpoint_steps(folder)[:-keep]:
        if step not in protected:
            remove_tree_atomically(checkpoint_path(folder, step))


def drop_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps (a run continues from `step` and will write them again)."""
    for later in checkpoint_steps(folder):
        if later > step:
            remove_tree_atomically(checkpoint_path(folder, later))
