"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all, and is verified when read."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from trimtab.config import RunError, WorkError, canonical_json
from trimtab.records.atomic import atomic_directory, remove_tree_atomically, write_json
from trimtab.records.failures import write_failure
from trimtab.records.hashing import file_sha256, tensors_sha256

FORMAT = 1
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Snapshot:
    """A whole `TrainState` as data: the model's tensors, the optimiser's and hooks' tensors, and everything else as JSON."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    values: dict[str, Any]

    def copied(self) -> "Snapshot":
        """The same with tensors of its own."""
        return Snapshot(
            {name: tensor.clone() for name, tensor in self.model.items()},
            {name: tensor.clone() for name, tensor in self.optimizer.items()},
            self.values,
        )


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"


def checkpoint_steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(match[1]) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name)) is not None)


def write_checkpoint(folder: Path, snapshot: Snapshot, records: dict[str, int], command: str | None = None) -> Path:
    """Write a snapshot; `records` are the lengths in bytes of the JSONL files that belong to it. Returns its folder.
    `command` is what the user goes on with after a failure: `trimtab resume` of the run unless it is another.

    Raises `WorkError` when the disk refuses, which says from where the run can go on; nothing half-written is left then, and
    older checkpoints are untouched.
    """
    target = checkpoint_path(folder, int(snapshot.values["step"]))
    try:
        _write(target, snapshot, records)
    except WorkError as error:
        if not isinstance(cause := error.__cause__, OSError):
            raise
        earlier = checkpoint_steps(folder)
        whole = (
            f"It goes on from the checkpoint of step {earlier[-1]}, which is whole."
            if earlier
            else ("This was the first checkpoint, so it begins again, under the same config.")
        )
        again = f"go on with `{command or f'trimtab resume {folder.parent}'}`. {whole}"
        raise write_failure(Path(cause.filename or target), cause, again) from cause
    return target


def _write(target: Path, snapshot: Snapshot, records: dict[str, int]) -> None:
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
            sealed[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        content = {
            "format": FORMAT,
            "step": int(snapshot.values["step"]),
            "weights_sha256": tensors_sha256(snapshot.model),
            "files": sealed,
            "records": records,
            "values": snapshot.values,
        }
        write_json(temporary / "state.json", {**content, "checksum": _checksum(content)})


def read_checkpoint(path: Path) -> tuple[Snapshot, dict[str, int]]:
    """The snapshot in a checkpoint folder and the lengths of its records.

    Every byte is verified first. Raises `RunError` naming the file for a missing, truncated or altered one.
    """
    if not path.is_dir():
        there = ", ".join(str(step) for step in checkpoint_steps(path.parent)) or "none"
        raise RunError(f"There is no checkpoint {path}. The steps that have one: {there}.")
    content = _read_state(path)
    tensors = []
    for name in ("model.safetensors", "optimizer.safetensors"):
        file, sealed = path / name, content["files"][name]
        if not file.is_file():
            raise RunError(f"The checkpoint {path} is damaged: {name} is missing.")
        if file.stat().st_size != sealed["bytes"] or file_sha256(file) != sealed["sha256"]:
            raise RunError(
                f"The checkpoint {path} is damaged: {name} has {file.stat().st_size} bytes and not the content that was "
                f"written ({sealed['bytes']} bytes, SHA-256 {sealed['sha256'][:12]}…)."
            )
        tensors.append(safetensors.torch.load_file(file))
    return Snapshot(tensors[0], tensors[1], content["values"]), content["records"]


def _read_state(path: Path) -> dict[str, Any]:
    file = path / "state.json"
    try:
        content = json.loads(file.read_bytes())
        checksum = content.pop("checksum")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise RunError(f"The checkpoint {path} is damaged: state.json cannot be read ({error}).") from error
    if checksum != _checksum(content):
        raise RunError(f"The checkpoint {path} is damaged: state.json is not what was written.")
    if content["format"] != FORMAT:
        raise RunError(f"The checkpoint {path} is of format {content['format']}; this Trimtab reads format {FORMAT}.")
    return dict(content)


def newest_sound(folder: Path, at_most: int | None = None) -> tuple[int, Snapshot, dict[str, int], list[str]] | None:
    """The newest checkpoint (of step `at_most` or before) that verifies, and why newer ones were refused; None if none does."""
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
        raise RunError(f"No checkpoint in {folder} is sound. {' '.join(refused)}")
    return None


def prune(folder: Path, keep: int, protected: Collection[int] = ()) -> None:
    """Remove all but the newest `keep` checkpoints and those of the `protected` steps."""
    for step in checkpoint_steps(folder)[:-keep]:
        if step not in protected:
            remove_tree_atomically(checkpoint_path(folder, step))


def drop_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps (a run goes on from `step`, and will write them anew)."""
    for later in checkpoint_steps(folder):
        if later > step:
            remove_tree_atomically(checkpoint_path(folder, later))


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(json.loads(json.dumps(content))).encode()).hexdigest()
