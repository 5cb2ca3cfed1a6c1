"""An experiment: its spec, and the configs that its arms, seeds and factors give."""

import functools
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel

from trimtab.config import ConfigError, RunKind, canonical_json, kind_named, resolve_root, set_key
from trimtab.config.wording import Source
from trimtab.records.experiment_spec import ExperimentSpec
from trimtab.records.metrics import Metrics
from trimtab.training.config import RunConfig


class Experiment(ExperimentSpec):
    """An experiment that can be run: the config of every episode follows from its spec."""

    def runs_alone(self, arm: str) -> bool:
        """Whether the arm's episodes are not forks: the baseline's, those paired by seed, and lazy forks without a controller."""
        if arm == self.baseline_arm or self.pairing.name == "seed":  # the only pairing of runs without training steps
            return True
        config = self.config(arm, self.seed_list[0], self.cells[0])
        return self.pairing.name == "lazy_fork" and config.episode.regime_controller is None

    @property
    def steered_arms(self) -> list[str]:
        """The treatments that have a regime controller; only runs made of training steps can have one."""
        if not self.run_kind.steps:
            return []
        seed, cell = self.seed_list[0], self.cells[0]
        return [arm for arm in self.treatments if self.config(arm, seed, cell).episode.regime_controller is not None]

    @property
    def run_kind(self) -> RunKind:
        """The kind of run that an episode is."""
        return kind_named(self.episodes, "episodes: ")

    def metrics_of(self, config: BaseModel) -> Metrics:
        """The metrics that an episode of this config has."""
        metrics: Metrics = self.run_kind.load("metrics")(config)
        return metrics

    @property
    def metrics(self) -> Metrics:
        """The metrics of the baseline's episodes."""
        return self.metrics_of(self.episode_config(self.baseline_arm, self.seed_list[0], self.cells[0]))

    def resolved(self, base: Mapping[str, Any], source: str) -> BaseModel:
        """A resolved config of the episodes' kind. Raises `ConfigError` that begins with `source`."""
        return resolve_root(self.run_kind.schema, base, Source(source, {}))

    def episode_config(self, arm: str, seed: int, cell: Mapping[str, Any]) -> BaseModel:
        """The resolved config of an episode. Raises `ConfigError` that names the arm.

        Each arm is resolved once per combination of factors; its episodes differ only in the seed, which `check` has checked.
        """
        key = canonical_json([arm, cell])
        if key not in self.resolved_configs:
            data = json.loads(json.dumps(self.base))
            overrides = json.loads(json.dumps({**self.arms[arm], **cell, "seed": seed}))
            for dotted, value in overrides.items():
                set_key(data, dotted, value, self.run_kind.schema)
            self.resolved_configs[key] = self.resolved(data, f"arm '{arm}'")
        return self.resolved_configs[key].model_copy(update={"seed": seed})

    @functools.cached_property
    def resolved_configs(self) -> dict[str, BaseModel]:
        """What `episode_config` has resolved so far, by arm and cell."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values for the fields in `update`, which are not validated."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("resolved_configs", None)  # its arms may be others
        return copy

    def config(self, arm: str, seed: int, cell: Mapping[str, Any]) -> RunConfig:
        """As `episode_config`, where episodes are training runs. Raises `ConfigError` where they are not."""
        self.needs_training()
        config = self.episode_config(arm, seed, cell)
        assert isinstance(config, RunConfig)
        return config

    def needs_training(self) -> None:
        """Raise `ConfigError` where the episodes are not training runs."""
        if not self.run_kind.steps:
            raise ConfigError(
                f"episodes: {self.episodes}. This command needs an experiment whose episodes are training runs."
            )
