"""Each arm's loss on one batch, before anything is run: a tag that the data lack is no matter for the last episode."""

import torch

from trimtab.config import ConfigError, RunConfig, TrimtabError, canonical_json
from trimtab.data import DataBundle
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.spec import Experiment
from trimtab.training import MemoryLogger
from trimtab.training.assembly import assemble

_NEEDS_NOTHING = "cross_entropy"
"""The loss that reads nothing but logits and labels."""


def rehearse(folder: ExperimentDirectory, experiment: Experiment) -> None:
    """Evaluate the loss of every arm and cell on its first batch. Raises `ConfigError` that names the arm and the reason.

    Arms that have begun, and arms with the plain cross-entropy, are left out; equal ones are tried once, and arms on the same
    data share them. Memory runs have no loss to choose.
    """
    if experiment.episodes == "memory":
        return
    data: dict[str, DataBundle] = {}
    tried: set[str] = set()
    seed = experiment.seed_list[0]
    for arm in experiment.arms:
        for cell in experiment.cells:
            config = experiment.config(arm, seed, cell)
            parts = config.model_dump(
                mode="json", include={"episode": {"loss"}, "data": True, "hooks": True, "model": True}
            )
            asked = canonical_json(parts)
            begun = folder.episode(arm, seed, cell).exists()
            if config.episode.loss.name == _NEEDS_NOTHING or begun or asked in tried:
                continue
            tried.add(asked)
            try:
                _try(config, data)
            except TrimtabError as error:
                raise ConfigError(f"The arm '{arm}' cannot be trained, so nothing was run. {error}") from error
            except Exception as error:
                raise ConfigError(
                    f"The arm '{arm}' cannot be trained, so nothing was run: on its first batch its loss "
                    f"'{config.episode.loss.name}' raised {type(error).__name__}: {error}."
                ) from error


@torch.no_grad()
def _try(config: RunConfig, data: dict[str, DataBundle]) -> None:
    """The loss of the first micro-batch of a run's first step, on its untrained model."""
    key = canonical_json(config.data)
    assembly = assemble(config, data=data.get(key))
    data[key] = assembly.data
    trainer = assembly.trainer(MemoryLogger())
    trainer.prepare()
    next(trainer.passes.outputs(assembly.train_loader, 0, config.episode, 1, 0))
