"""The model of a recorded run, loaded within another run."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from trimtab.boundary import path_text
from trimtab.data import Tokenizer
from trimtab.errors import RunError
from trimtab.random import Streams
from trimtab.records import RunDirectory, tensors_sha256
from trimtab.records.checkpoints import checkpoint_path
from trimtab.runtime.checkpoint import Snapshot, newest_sound, read_checkpoint
from trimtab.runtime.nested import base_fingerprint, load_named_tensors
from trimtab.training.loop.hooks import HookSet
from trimtab.training.runs.assembly import build_model, build_tokenizer, on_this_machine
from trimtab.training.runs.recorded import recorded_config


@dataclass(frozen=True)
class RunModel:
    """A run's model in evaluation mode, its tokenizer, its context, and the identity of all its weights."""

    network: nn.Module
    tokenizer: Tokenizer
    context: int
    weights: str


def snapshot_of(path: str | Path, step: int | None = None) -> Snapshot:
    """The run's newest sound checkpoint, or that of `step`. Raises `RunError` if there is none."""
    folder = RunDirectory(path).checkpoints_path
    if step is not None:
        return read_checkpoint(checkpoint_path(folder, step))[0]
    newest = newest_sound(folder)
    if newest is None:
        raise RunError(
            f"The run in {path_text(Path(path))} has no checkpoint. Continue it first: trimtab resume {path}."
        )
    return newest[1]


def run_model(path: str | Path, step: int | None = None) -> RunModel:
    """The model of a run at its newest sound checkpoint or at `step`, with the run's modulating hooks.

    Unlike `load_model` it leaves the thread count of the process as it is. Raises `RunError` if the run has no such checkpoint
    or its config names code of somebody else.
    """
    run = RunDirectory(path)
    config = on_this_machine(recorded_config(run.manifest(), run))
    snapshot = snapshot_of(path, step)
    tokenizer, streams = build_tokenizer(config), Streams(config.seed)
    model = build_model(config, tokenizer, streams)
    HookSet(config.hooks).attach(model, streams)
    load_named_tensors(model, snapshot.model)
    weights = tensors_sha256(snapshot.model)
    base = base_fingerprint(model)
    return RunModel(
        model.eval(), tokenizer, int(config.data.spec["context"]), weights if base is None else f"{base} {weights}"
    )
