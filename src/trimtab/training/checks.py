"""Checks across the keys of the config of a training run."""

from collections.abc import Mapping
from typing import Any

from trimtab.config import REGISTRIES, EpisodeConfig, TaskEvalConfig
from trimtab.config.nested import inner_components
from trimtab.config.wording import Source
from trimtab.errors import ConfigError
from trimtab.training.config import RunConfig
from trimtab.training.metrics import evaluation_metric


def check_run(config: RunConfig, where: Source) -> None:
    """Raise `ConfigError` for keys that are valid alone and do not fit together; `config` is resolved.

    Refused are a loss of terms without an objective, a task evaluation without a task, and a best checkpoint or early stopping by
    a metric that evaluations of the run do not measure.
    """
    episode = config.episode
    _refuse_terms_without_objective(episode.loss.spec, where)
    if config.data.name == "corpus" and configures_task_eval(episode.task_eval):
        raise ConfigError(f"{where.at(('episode', 'task_eval'))}{NO_TASK}")
    for path, name in named_metrics(episode):
        evaluation_metric(config, name, where.at(path))


def named_metrics(episode: EpisodeConfig) -> list[tuple[tuple[str | int, ...], str]]:
    """The keys of a config that name a metric of evaluations, each with that metric."""
    early = episode.early_stopping
    stopping = early.metric if early is not None else None
    best: list[tuple[tuple[str | int, ...], str]] = [(("episode", "best_metric"), episode.best_metric)]
    return best if stopping is None else [*best, (("episode", "early_stopping", "metric"), stopping)]


NO_TASK = (
    "answers are generated for the problems of a task, and the data has none. Use `data: {name: task, ...}`, or leave "
    "`task_eval` out."
)
"""The error for a task evaluation on data without a task."""


def configures_task_eval(task_eval: TaskEvalConfig) -> bool:
    """Whether a config changes the defaults of task evaluations, which apply only where the data is a task."""
    return task_eval.problems > 0 and task_eval != TaskEvalConfig()


def _refuse_terms_without_objective(loss: Mapping[str, Any], where: Source) -> None:
    if _stands_alone(loss):
        return
    place = where.at(("episode", "loss"))
    name, terms = loss["name"], [spec for _, spec in inner_components("loss", loss)]
    if terms:
        raise ConfigError(
            f"{place}the sum contains only auxiliary terms ({', '.join(term['name'] for term in terms)}). Add a main loss "
            "that covers every token, such as {name: cross_entropy}, with a weight above 0."
        )
    raise ConfigError(
        f"{place}'{name}' is a term that is added to an objective and is none itself: write {{name: sum, terms: "
        f"[{{name: cross_entropy}}, {{name: {name}, weight: 1.0}}]}}."
    )


def _stands_alone(loss: Mapping[str, Any]) -> bool:
    term: bool | None = getattr(REGISTRIES["loss"].load(loss["name"]), "term", False)
    if term is not None:
        return not term
    return any(_stands_alone(part) for _, part in inner_components("loss", loss) if part.get("weight", 1.0) > 0)
