"""Text from a recorded run's model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trimtab.config import ConfigError, RunError, SampleConfig, allowing_code
from trimtab.data import Tokenizer
from trimtab.data.tasks import end_token
from trimtab.generation import complete
from trimtab.random import Streams, derive_seed
from trimtab.records import RunDirectory
from trimtab.records.checkpoints import checkpoint_path
from trimtab.runtime.checkpoint import newest_sound, read_checkpoint
from trimtab.runtime.device import apply_precision, set_numerics
from trimtab.runtime.nested import load_named_tensors
from trimtab.training.config import RunConfig
from trimtab.training.loop.hooks import HookSet
from trimtab.training.runs.assembly import build_model, build_tokenizer, on_this_machine, sample_texts
from trimtab.training.runs.recorded import recorded_config


@dataclass(frozen=True)
class LoadedModel:
    """A run's model in evaluation mode, with the run's modulating hooks, at the checkpoint of `step`.

    `refused` says why newer checkpoints were not used.
    """

    model: torch.nn.Module
    tokenizer: Tokenizer
    config: RunConfig
    step: int
    refused: list[str]


def load_model(path: Path | str, step: int | None = None, *, allow_code: bool = False) -> LoadedModel:
    """The model of a run at its newest sound checkpoint, or at `step`.

    Raises `RunError` when there is no such checkpoint, and when the run's config names code (a dotted path) unless `allow_code`.
    """
    run = RunDirectory(path)
    with allowing_code(allow_code):
        config = on_this_machine(recorded_config(run.manifest(), run))
    refused: list[str] = []
    if step is not None:
        snapshot, _ = read_checkpoint(checkpoint_path(run.checkpoints_path, step))
    elif (newest := newest_sound(run.checkpoints_path)) is not None:
        step, snapshot, _, refused = newest
    else:
        raise RunError(
            f"The run in {run.path} has no checkpoint yet. Continue the run first: trimtab resume {run.path}."
        )
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    tokenizer = build_tokenizer(config)
    streams = Streams(config.seed)
    model = build_model(config, tokenizer, streams)
    HookSet(config.hooks).attach(model, streams)
    apply_precision(model, config.episode.precision)
    load_named_tensors(model, snapshot.model)
    return LoadedModel(model.eval(), tokenizer, config, step, refused)


def sample_run(
    path: Path | str,
    *,
    prompt: str | None,
    options: dict[str, Any],
    seed: int,
    step: int | None = None,
    allow_code: bool = False,
) -> dict[str, Any]:
    """A continuation of `prompt` by a run's model; the same seed gives the same text.

    The default prompt is that of the config, or for a run on a task the first problem of its task evaluation. A run on a task
    continues the prompt in the template of its data and stops at the token that ends an answer. `unknown_characters` counts the
    characters of the prompt that the tokenizer does not have; the model sees the unknown token instead. Raises
    `ConfigError` for a prompt that is empty, not text, or too long for the task, and otherwise as `load_model`.
    """
    if prompt == "":
        raise ConfigError(
            "--prompt: the prompt is empty, and a model needs at least one character to continue. Give some text, or omit the "
            "option to use the prompt in the run's config (episode.sample.prompt)."
        )
    try:
        (prompt or "").encode()
    except UnicodeEncodeError as error:
        raise ConfigError("--prompt: the prompt is not valid UTF-8. Write it in UTF-8.") from error
    loaded = load_model(path, step, allow_code=allow_code)
    text = _default_prompt(RunDirectory(path), loaded.config) if prompt is None else prompt
    if loaded.config.data.task is not None:
        text = str(loaded.config.data.spec["template"]).replace("{prompt}", text, 1)
    config = SampleConfig(prompt=text, count=1, **options)
    if not len(loaded.tokenizer.encode(config.prompt)):
        raise ConfigError(
            f"--prompt: the prompt {config.prompt!r} has no token in this run's tokenizer ({loaded.tokenizer.name}), so there is "
            "nothing to continue. Give it more text."
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "sampling"))
    write = _answer if loaded.config.data.task is not None else _continue
    return {
        "prompt": config.prompt,
        "text": write(loaded, config, generator),
        "seed": seed,
        "step": loaded.step,
        "unknown_characters": dict(loaded.tokenizer.unknown_characters(config.prompt)),
        "refused_checkpoints": loaded.refused,
    }


def _default_prompt(run: RunDirectory, config: RunConfig) -> str:
    """The prompt in the run's config; for a run on a task, the first problem of its task evaluation."""
    first = None if config.data.task is None else next(iter(run.predictions()), None)
    return config.episode.sample.prompt if first is None else str(first["prompt"])


def _continue(loaded: LoadedModel, config: SampleConfig, generator: torch.Generator) -> str:
    (text,) = sample_texts(loaded.model, loaded.tokenizer, config, generator)
    return text


def _answer(loaded: LoadedModel, config: SampleConfig, generator: torch.Generator) -> str:
    """The continuation of a prompt up to the token that ends an answer."""
    ids = torch.from_numpy(loaded.tokenizer.encode(config.prompt).astype("int64"))
    context = int(loaded.config.data.spec["context"])
    if len(ids) >= context:
        raise ConfigError(
            f"--prompt: the prompt has {len(ids)} tokens, and the model reads at most {context}, its answer included. Shorten it."
        )
    (completion,) = complete(
        loaded.model,
        [ids],
        config.tokens,
        generator=generator,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        stop=(end_token(loaded.tokenizer),),
        decode=loaded.tokenizer.decode,
        decode_alone=True,  # as `ProblemDataset` encodes answers
    )
    return completion.text or ""
