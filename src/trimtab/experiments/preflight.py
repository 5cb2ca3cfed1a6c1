"""The preflight check: every arm's data, model and loss are built before the first episode runs."""

import traceback
from typing import Any

import torch

from trimtab.config import ConfigError, TrimtabError, canonical_json
from trimtab.data import DataBundle
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.spec import Experiment
from trimtab.training import MemoryLogger
from trimtab.training.config import RunConfig
from trimtab.training.runs.assembly import assemble

_CANNOT_FAIL = "cross_entropy"
"""The loss that needs only logits and labels."""


def preflight(folder: ExperimentDirectory, experiment: Experiment) -> None:
    """Build every arm and cell, and evaluate its loss on its first batch. Raises `ConfigError` that names the arm and the reason.

    Arms with an episode in the folder are not built again. A plain cross-entropy is not evaluated. Arms that differ only in what
    cannot fail are built once, and arms on the same data share it. Runs that are not made of training steps are not built here.
    """
    if not experiment.run_kind.steps:
        return
    data: dict[str, DataBundle] = {}
    tried: set[str] = set()
    seed = experiment.seed_list[0]
    for arm in experiment.arms:
        for cell in experiment.cells:
            config = experiment.config(arm, seed, cell)
            deciding: Any = dict.fromkeys(("data", "hooks", "model", "monitor", "faults"), True)
            deciding |= {"episode": {"loss", "regime_controller"}}
            parts = config.model_dump(mode="json", include=deciding)
            key = canonical_json(parts)
            started = folder.episode(arm, seed, cell).exists()
            if started or key in tried:
                continue
            tried.add(key)
            try:
                _try(config, data)
            except TrimtabError as error:
                raise ConfigError(f"The arm '{arm}' cannot be trained, so nothing was run. {error}") from error
            except Exception as error:  # an error in the user's own component
                place = traceback.extract_tb(error.__traceback__)[-1]
                raise ConfigError(
                    f"The arm '{arm}' cannot be trained, so nothing was run: building it, or its loss "
                    f"'{config.episode.loss.name}' on its first batch, raised {type(error).__name__}: {error} "
                    f"({place.filename}, line {place.lineno})."
                ) from error


@torch.no_grad()
def _try(config: RunConfig, data: dict[str, DataBundle]) -> None:
    """The loss of the first micro-batch of a run's first step, on its untrained model."""
    key = canonical_json(config.data)
    assembly = assemble(config, data=data.get(key))
    data[key] = assembly.data
    trainer = assembly.trainer(MemoryLogger())
    if config.episode.loss.name == _CANNOT_FAIL:
        return
    trainer.prepare()
    next(trainer.passes.outputs(assembly.train_loader, 0, config.episode, 1, 0))
