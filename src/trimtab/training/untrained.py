"""What a run's model could do before its first step: what a run that diverged counts as."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trimtab.random import Streams
from trimtab.records import flatten
from trimtab.runtime.logger import MemoryLogger
from trimtab.training.assembly import Assembly, build_model
from trimtab.training.config import RunConfig
from trimtab.training.hooks import HookSet

_FIGURES = ("val_loss", "val_accuracy", "val_calibration_error")
_AROUND = (".low", ".high", ".null_floor", ".null_high")
"""What stands around a figure and is no figure itself."""


def is_needed(result: Mapping[str, Any]) -> bool:
    """Whether a run that ended so is to be held against its untrained model: it diverged, or a figure is not finite."""
    if result["status"] in ("diverged", "interrupted"):
        return bool(result["status"] == "diverged")
    points = {name: value for name, value in flatten(result.get("exam", {})) if not name.endswith(_AROUND)}
    return any(isinstance(value, float) and not math.isfinite(value) for value in points.values())


def untrained_figures(assembly: Assembly) -> dict[str, Any]:
    """The validation figures and the exam of the run's initial weights, by the names that the run's own have.

    Called when a run has ended badly, and only then: the initial weights are drawn anew from the seed, exactly as they were,
    so that a sound run pays for no exam of them and no copy. All that holds a state (model, hooks, streams) is new; the run's
    own is not touched. Of a fork it is the model that its config begins with, not the trunk.
    """
    config: RunConfig = assembly.config
    streams = Streams(config.seed)
    model = build_model(config, assembly.data.tokenizer.vocabulary, streams)
    fresh = replace(assembly, model=model, hooks=HookSet(config.hooks), streams=streams)
    trainer = fresh.trainer(MemoryLogger())
    trainer.prepare()
    found = trainer.evaluate(assembly.val_loader)
    figures: dict[str, Any] = {name: found[name] for name in _FIGURES}
    exam = trainer.evaluator.sit_exam(config.episode.precision, streams.at("evaluation", 0))
    return figures if exam is None else figures | {"exam": exam.figures}
