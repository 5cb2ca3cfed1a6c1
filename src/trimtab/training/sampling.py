"""Text from a recorded run's model."""

from pathlib import Path
from typing import Any

import torch

from trimtab.config import RunError, SampleConfig, resolve_config
from trimtab.random import Streams
from trimtab.records import RunDirectory
from trimtab.training.assembly import build_model, build_tokenizer, sample_text
from trimtab.training.checkpoint import checkpoint_path, newest_sound, read_checkpoint
from trimtab.training.device import apply_precision, resolve_hardware, set_threads
from trimtab.training.hooks import HookSet
from trimtab.training.nested import named_tensors


def load_model(path: Path | str, step: int | None = None) -> tuple[torch.nn.Module, Any, Any]:
    """The model of a run (at its newest sound checkpoint, or at `step`), its tokenizer and its config.

    The model is in evaluation mode, with the run's modulating hooks. Raises `RunError` when there is no such checkpoint.
    """
    run = RunDirectory(path)
    config = resolve_hardware(resolve_config(run.manifest().config, source=str(run.manifest_path)))
    if step is not None:
        snapshot, _ = read_checkpoint(checkpoint_path(run.checkpoints_path, step))
    elif (found := newest_sound(run.checkpoints_path)) is not None:
        snapshot = found[1]
    else:
        raise RunError(f"The run in {run.path} has no checkpoint yet. Train on: trimtab resume {run.path}.")
    assert isinstance(config.threads, int)
    set_threads(config.threads)
    tokenizer = build_tokenizer(config)
    streams = Streams(config.seed)
    model = build_model(config, tokenizer.vocabulary, streams)
    HookSet(config.hooks).attach(model, streams)
    apply_precision(model, config.episode.precision)
    with torch.no_grad():
        for name, tensor in named_tensors(model).items():
            tensor.copy_(snapshot.model[name])
    return model.eval(), tokenizer, config


def sample_run(
    path: Path | str, *, prompt: str | None, options: dict[str, Any], seed: int, step: int | None = None
) -> dict[str, Any]:
    """A continuation of `prompt` (None: the config's own) by a run's model; the same seed gives the same text."""
    model, tokenizer, config = load_model(path, step)
    asked = SampleConfig(prompt=prompt or config.episode.sample.prompt, **options)
    text = sample_text(model, tokenizer, asked, seed)
    return {"prompt": asked.prompt, "text": text, "seed": seed}
