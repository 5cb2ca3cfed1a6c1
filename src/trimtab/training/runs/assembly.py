"""From a resolved config to the parts of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trimtab.config import REGISTRIES, Component, ConfigError, SampleConfig
from trimtab.config.registry import accepts
from trimtab.config.yaml_file import dotted
from trimtab.data import BatchSource, DataBundle, EvaluationLoader, Tokenizer, TrainLoader, token_values
from trimtab.data.problem import Task
from trimtab.evaluation.text import sample_figures, word_set
from trimtab.generation import continuation, generate
from trimtab.losses import LossModule
from trimtab.random import Streams, global_stream
from trimtab.runtime.device import keep_freed_memory, resolve_hardware, set_numerics
from trimtab.runtime.events import OnEvent
from trimtab.runtime.logger import Logger
from trimtab.training.checks import NO_TASK, configures_task_eval, named_metrics
from trimtab.training.config import RunConfig
from trimtab.training.loop.faults import FaultSet
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.optimizer import multiply_rates
from trimtab.training.loop.task_eval import TaskEvaluator
from trimtab.training.loop.trainer import Trainer


@dataclass(frozen=True)
class Assembly:
    """The parts of a run that do not depend on where it is recorded."""

    config: RunConfig
    data: DataBundle
    model: nn.Module
    hooks: HookSet
    streams: Streams
    train_loader: BatchSource
    val_loader: EvaluationLoader
    sampler: "TextSampler | None"
    task_eval: TaskEvaluator | None

    def trainer(self, logger: Logger, stop: Callable[[], str | None] = lambda: None) -> Trainer:
        """A trainer of these parts, which it changes: another trainer needs a new assembly."""
        episode = self.config.episode
        optimizer = build("optimizer", episode.optimizer, parameters=self.model.named_parameters())
        if multipliers := getattr(self.model, "lr_multipliers", None):
            multiply_rates(optimizer, self.model.named_parameters(), multipliers)
        return Trainer(
            self.model,
            optimizer,
            build("schedule", episode.schedule, steps=episode.steps),
            build_loss(episode.loss, self.data.tokenizer),
            build("regime_controller", episode.regime_controller or Component(name="none")),
            logger,
            self.config,
            hooks=self.hooks,
            faults=FaultSet(self.config.faults, vocabulary=self.data.tokenizer.vocabulary),
            streams=self.streams,
            sampler=self.sampler,
            task_eval=self.task_eval,
            stop=stop,
        )


def build(kind: str, component: Component, **supplied: Any) -> Any:
    """Make a component of a kind from its resolved config."""
    return REGISTRIES[kind].build(component.spec, **supplied)


def assemble(config: RunConfig, events: OnEvent | None = None, data: DataBundle | None = None) -> Assembly:
    """The parts of a run, from a resolved config. Sets the process's thread count and how its C library keeps memory.

    `data` is the result of `build_data`, where the caller has it already. Raises `ConfigError` and `DataError`; reads and writes
    no run directory.
    """
    config = on_this_machine(config)
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    keep_freed_memory()
    hooks = HookSet(config.hooks)
    data = build_data(config, events) if data is None else data
    streams = Streams(config.seed)
    size, task_eval = config.episode.batch_size, config.episode.task_eval
    if data.task is None and configures_task_eval(task_eval):
        raise ConfigError(f"episode.task_eval: {NO_TASK}")
    evaluator: TaskEvaluator | None = None
    if data.task is not None and task_eval.problems:
        evaluator = (data.task_evaluator or TaskEvaluator)(data, task_eval, size)
    for path, name in named_metrics(config.episode):
        if evaluator is not None and name.startswith("task_eval.truth.") and not evaluator.truth_is_known:
            raise ConfigError(
                f"{dotted(path)}: '{name}' needs problems whose exact distribution of answers is known, and this task has none. "
                "Name another metric."
            )
    return Assembly(
        config=config,
        data=data,
        model=build_model(config, data.tokenizer, streams),
        hooks=hooks,
        streams=streams,
        train_loader=data.train_source or TrainLoader(data.train, size, config.seed),
        val_loader=EvaluationLoader(data.validation, size, config.episode.evaluation_windows),
        sampler=TextSampler(data, config.episode.sample) if data.task is None else None,
        task_eval=evaluator,
    )


def on_this_machine(config: RunConfig) -> RunConfig:
    """The config with `auto` replaced by what this machine has."""
    hardware = resolve_hardware(config.device, config.threads, config.episode.precision)
    episode = config.episode.model_copy(update={"precision": hardware.precision})
    return config.model_copy(update={"device": hardware.device, "threads": hardware.threads, "episode": episode})


def build_loss(loss: Component, tokenizer: Tokenizer) -> LossModule:
    """The config's loss. It receives each token's text and the number that it spells, where it has parameters for them."""
    factory = REGISTRIES["loss"].load(loss.name)
    supplied: dict[str, Any] = {}
    if accepts(factory, "token_values") or accepts(factory, "token_texts"):
        texts = tokenizer.texts()
        supplied = {"token_texts": texts, "token_values": token_values(texts)}
    module: LossModule = build("loss", loss, **supplied)
    return module


def build_tokenizer(config: RunConfig) -> Tokenizer:
    """The config's tokenizer."""
    tokenizer: Tokenizer = build("tokenizer", config.data.tokenizer)
    return tokenizer


def build_task(config: RunConfig) -> Task | None:
    """The config's task; None for text."""
    task: Task | None = None if config.data.task is None else build("task", config.data.task)
    return task


def build_data(config: RunConfig, events: OnEvent | None = None) -> DataBundle:
    """The config's data, encoded (or found in the cache) and split."""
    tokenizer, task = build_tokenizer(config), build_task(config)
    data: DataBundle = REGISTRIES["data"].build(config.data.own_spec, tokenizer=tokenizer, task=task, events=events)
    return data


def build_model(config: RunConfig, tokenizer: Tokenizer, streams: Streams) -> nn.Module:
    """The config's model with its initial weights, drawn from the `init` stream, on the config's device."""
    context = int(config.data.spec["context"])
    supplied = {"vocabulary": tokenizer.vocabulary, "context": context, "tokenizer": tokenizer}
    generator = streams["init"]
    model: nn.Module
    if hasattr(REGISTRIES["model"].load(config.model.name), "initialise"):
        with torch.device("meta"):
            model = build("model", config.model, **supplied)
        # `to_empty` does the same, and imports torch's symbolic shapes for it (a second).
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))  # type: ignore[no-untyped-call]
        getattr(model, "initialise")(generator)  # noqa: B009 - not every model has it
    else:
        with global_stream(generator):
            model = build("model", config.model, **supplied)
    return model.to(config.device)


class TextSampler:
    """Writes the sample of an evaluation, with its figures."""

    def __init__(self, data: DataBundle, config: SampleConfig) -> None:
        self.tokenizer = data.tokenizer
        self.config = config
        self._data = data
        self._words: frozenset[str] | None = None

    def __call__(self, model: nn.Module, generator: torch.Generator) -> Mapping[str, Any]:
        """Prompt, first text and the figures of all of them; the dictionary is the training text's own words."""
        if self._words is None:
            self._words = word_set(self._data.opening_text())
        texts = sample_texts(model, self.tokenizer, self.config, generator)
        return {
            "prompt": self.config.prompt,
            "text": texts[0],
            "count": len(texts),
            "figures": sample_figures("\n".join(texts), self._words),
        }


def sample_texts(model: nn.Module, tokenizer: Tokenizer, config: SampleConfig, generator: torch.Generator) -> list[str]:
    """`count` continuations of a prompt, written in one batch."""
    device = next(model.parameters()).device
    prompt = torch.tensor(tokenizer.encode(config.prompt).astype("int64"), device=device).expand(config.count, -1)
    ids = generate(
        model,
        prompt,
        config.tokens,
        generator=generator,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
    )
    length = prompt.shape[1]
    return [continuation(tokenizer.decode, row[:length], row[length:]) for row in ids.tolist()]
