"""The parts of a search, made from its config: space, optimiser, scheduler, metric, seeds, and the configs of its runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trimtab.config import ConfigError, set_key
from trimtab.config.wording import Source, unknown_name
from trimtab.experiments.searching.components import OPTIMIZERS, SCHEDULERS
from trimtab.experiments.searching.config import KeyConfig, SearchConfig
from trimtab.random import derive_seed
from trimtab.records.metrics import Metric
from trimtab.search import Choice, Number, Optimizer, Space
from trimtab.search.scheduler import Scheduler
from trimtab.search.space import Parameter, Settings
from trimtab.training.config import RunConfig, resolve_config
from trimtab.training.metrics import evaluation_metric, metrics_of

NOWHERE = Source("the search")


def space_of(config: SearchConfig, where: Source = NOWHERE) -> Space:
    """The search space. Raises `ConfigError` that names the key."""
    if not config.space:
        raise ConfigError(f"{where.at(('space',))}there must be at least one key to search over.")
    parameters: dict[str, Parameter] = {}
    for key, given in config.space.items():
        try:
            parameters[key] = _parameter(given)
            Space(parameters)
        except ValueError as error:
            words = str(error).removeprefix(f"{key}: ")
            raise ConfigError(f"{where.at(('space', key))}{words}.") from error
    return Space(parameters)


def _parameter(given: KeyConfig) -> Parameter:
    if given.values is not None:
        return Choice(given.values, given.when)
    assert given.low is not None
    assert given.high is not None
    return Number(given.low, given.high, given.log, given.whole, given.when)


def optimizer_of(config: SearchConfig, space: Space, where: Source = NOWHERE) -> Optimizer:
    """A new optimiser. Raises `ConfigError` for options that do not fit, and for a missing package."""
    initial = [*map(dict, config.initial), *_random_settings(config, space)]
    if len(initial) > config.trials:
        raise ConfigError(
            f"{where.at(('trials',))}{config.trials} trials are fewer than the {len(initial)} settings that `initial` and "
            "`random_start` ask for."
        )
    for number, settings in enumerate(config.initial):
        try:
            space.point(settings)
        except ValueError as error:
            raise ConfigError(f"{where.at(('initial', number))}{error}.") from error
    try:
        made: Optimizer = OPTIMIZERS.build(
            config.optimizer.spec, space=space, budget=config.trials, seed=config.seed, initial=initial
        )
    except ValueError as error:
        raise ConfigError(f"{where.at(('optimizer',))}{error}.") from error
    return made


def _random_settings(config: SearchConfig, space: Space) -> list[Settings]:
    """Uniform settings that depend on the search's seed alone."""
    return [
        space.settings(np.random.Generator(np.random.PCG64(_derived(config, "start", number))).random(len(space)))
        for number in range(config.random_start)
    ]


def scheduler_of(config: SearchConfig, optimizer: Optimizer, where: Source = NOWHERE) -> Scheduler:
    """A new scheduler. Raises `ConfigError` for options that do not fit."""
    try:
        made: Scheduler = SCHEDULERS.build(config.scheduler.spec, optimizer=optimizer, steps=config.run.episode.steps)
    except ValueError as error:
        raise ConfigError(f"{where.at(('scheduler',))}{error}.") from error
    return made


def pauses(config: SearchConfig) -> bool:
    """Whether runs pause and are evaluated at their pauses."""
    return config.scheduler.name in ("rungs", "population") or config.scheduler.spec.get("pause") is not None


def metric_of(config: SearchConfig, where: Source = NOWHERE) -> Metric:
    """The metric that the search improves. Raises `ConfigError` where its runs do not have it."""
    at = where.at(("metric",))
    if pauses(config):
        return evaluation_metric(config.run, config.metric, at)
    metrics = metrics_of(config.run)
    metric = metrics.find(config.metric)
    if metric is None:
        known = [one.name for one in metrics.always]
        hint = unknown_name(config.metric, known)
        raise ConfigError(f"{at}the runs have no metric '{config.metric}'.{hint} They have {', '.join(known)}.")
    return metric


def trial_seed(config: SearchConfig, trial: int, number: int) -> int:
    """The seed of a trial's run with the seed number `number`."""
    return _derived(config, "trial", trial if config.fresh_seeds else 0, number)


def confirmation_seeds(config: SearchConfig) -> list[int]:
    """Seeds that no trial has."""
    return [_derived(config, "confirmation", number) for number in range(config.confirm.seeds)]


def _derived(config: SearchConfig, *names: str | int) -> int:
    return derive_seed(config.seed, "search", *names) % 2**31


def run_config(config: SearchConfig, settings: Mapping[str, Any], seed: int, source: str) -> RunConfig:
    """The resolved config of a run. Raises `ConfigError`, which begins with `source`."""
    data = config.run.model_dump(mode="json")
    for key, value in settings.items():
        set_key(data, key, value, RunConfig)
    data["seed"] = seed
    data["episode"]["keep_checkpoints"] = 1  # a search keeps the newest of what may go on, and its best
    return resolve_config(data, source=source)
