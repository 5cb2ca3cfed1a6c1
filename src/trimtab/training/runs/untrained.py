"""Metrics of the untrained model, used as the score of a diverged run."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from trimtab.evaluation.evaluate import WeightedMean
from trimtab.random import Streams
from trimtab.records import flatten
from trimtab.runtime.logger import MemoryLogger
from trimtab.training.config import RunConfig
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.trainer import Trainer
from trimtab.training.metrics import untrained_names
from trimtab.training.runs.assembly import Assembly, build_model

_AROUND = (".low", ".high", ".null_floor", ".null_high")
"""Ends of names that give the range of a figure, not the figure itself."""


def is_needed(result: Mapping[str, Any]) -> bool:
    """Whether a run needs the metrics of its untrained model: it diverged, or one of its metrics is not finite."""
    if result["status"] in ("diverged", "interrupted"):
        return bool(result["status"] == "diverged")
    points = {name: value for name, value in flatten(result.get("task_eval", {})) if not name.endswith(_AROUND)}
    return any(isinstance(value, float) and not math.isfinite(value) for value in points.values())


def untrained_figures(assembly: Assembly) -> dict[str, Any]:
    """Metrics of the untrained model, used as the score of a diverged run; they have the names of the run's own."""
    trainer = _untrained_trainer(assembly)
    episode, streams = assembly.config.episode, trainer.state.streams
    evaluation = trainer.evaluate(assembly.val_loader)
    figures: dict[str, Any] = {name: evaluation[name] for name in untrained_names(assembly.config)}
    task_eval = trainer.evaluator.evaluate_task(episode.precision, streams.at("evaluation", 0))
    return figures if task_eval is None else figures | {"task_eval": task_eval.figures}


def untrained_objective(assembly: Assembly) -> float | None:
    """What the untrained model scores by the run's loss on the run's first batch; None where that is not finite.

    It is the training loss of the first step of a run that starts with this config.
    """
    trainer = _untrained_trainer(assembly)
    trainer.state.hooks.muted = True
    mean = WeightedMean()
    with torch.no_grad():
        for output, _ in trainer.passes.outputs(assembly.train_loader, 0, assembly.config.episode, step=1, attempt=0):
            mean.add(output)
    return mean.value(0.0) if math.isfinite(mean.value(0.0)) else None


def _untrained_trainer(assembly: Assembly) -> Trainer:
    """A trainer with initial weights, drawn again from the seed, bit for bit.

    So a run that does not diverge pays neither for an evaluation of these weights nor for a copy of them. Model, hooks and
    streams are new; the run's own are not touched. For a fork it is the model that its config initialises, not the state that it
    was forked from.
    """
    config: RunConfig = assembly.config
    streams = Streams(config.seed)
    model = build_model(config, assembly.data.tokenizer, streams)
    fresh = replace(assembly, model=model, hooks=HookSet(config.hooks), streams=streams)
    trainer = fresh.trainer(MemoryLogger())
    trainer.prepare()
    return trainer
