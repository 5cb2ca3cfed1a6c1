"""The config of a training run: its schema, how it is loaded, and checks across its keys."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trimtab.config import REGISTRIES, Component, EpisodeConfig, Frozen, MonitorConfig, TaskEvalConfig, component
from trimtab.config.load import load_root, resolve_root
from trimtab.config.nested import inner_components
from trimtab.config.wording import Source
from trimtab.config.yaml_file import Lines
from trimtab.errors import ConfigError


class DataComponent(Component):
    """The data component; its tokenizer and the task of `{name: task}` are components of their own."""

    name: Annotated[str, Field(min_length=1, description="the data component")] = "corpus"
    task: Annotated[
        Component | None,
        Field(description="the task, for data: {name: task}; null for text", json_schema_extra=component("task")),
    ] = None
    tokenizer: Annotated[
        Component, Field(description="how text becomes tokens", json_schema_extra=component("tokenizer"))
    ] = Component(name="character")

    @model_validator(mode="after")
    def _task_where_it_belongs(self) -> Self:
        if self.name == "task" and self.task is None:
            raise ValueError("data {name: task} needs a task: {name: NAME}; `trimtab components task` lists them")
        if self.name == "corpus" and self.task is not None:
            raise ValueError("a task belongs to data {name: task, task: {...}}; a corpus has none")
        return self


class HookComponent(Component):
    """A hook, with its switch."""

    enabled: Annotated[bool, Field(description="false switches the hook off: it is listed, and cannot run")] = True


class RunConfig(Frozen):
    """Everything that decides a training run."""

    seed: Annotated[int, Field(ge=0, description="the seed of every named random stream")] = 0
    threads: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(
            description="CPU threads; results depend on it bit for bit; auto is the physical cores within the affinity and the "
            "CPU quota, resolved at the start"
        ),
    ] = "auto"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Field(description="where the model runs; auto is cuda if there is one, else cpu"),
    ] = "auto"
    data: Annotated[DataComponent, Field(description="what the model reads", json_schema_extra=component("data"))] = (
        DataComponent()
    )
    model: Annotated[Component, Field(description="the model", json_schema_extra=component("model"))] = Component(
        name="decoder"
    )
    episode: Annotated[EpisodeConfig, Field(description="the training decisions")] = EpisodeConfig()
    monitor: Annotated[MonitorConfig, Field(description="the indicators")] = MonitorConfig()
    faults: Annotated[
        tuple[Component, ...],
        Field(description="faults injected on purpose, with known truth", json_schema_extra=component("fault")),
    ] = ()
    hooks: Annotated[
        tuple[HookComponent, ...],
        Field(description="hooks, in the order in which they run", json_schema_extra=component("hook")),
    ] = ()


def load_config(path: Path | None = None, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a YAML config (None: every default), apply `key=value` overrides, validate and resolve it.

    Raises `ConfigError` that names the file, the line and the key.
    """
    return load_root(RunConfig, path, overrides)


def resolve_config(data: Mapping[str, Any], *, source: str = "config", lines: Lines | None = None) -> RunConfig:
    """Validate a plain mapping and fill in every default, those of the named components included.

    A component that is not named is its slot's default one (`model: {layers: 2}` is a smaller default model). Resolving a
    resolved config again changes nothing. Raises `ConfigError`, which begins with `source`.
    """
    return resolve_root(RunConfig, data, Source(source, lines or {}))


def changed_keys(old: RunConfig, new: RunConfig) -> frozenset[str]:
    """The keys of two configs that differ: top-level ones, and those of the episode as `episode.clip`."""
    keys = {name for name in RunConfig.model_fields if name != "episode" and getattr(old, name) != getattr(new, name)}
    for name in EpisodeConfig.model_fields:
        if getattr(old.episode, name) != getattr(new.episode, name):
            keys.add(f"episode.{name}")
    return frozenset(keys)


def refuse_misfits(config: Mapping[str, Any], where: Source) -> None:
    """Raise `ConfigError` for an objective of mere terms and for a task evaluation without a task; `config` is resolved."""
    episode = config["episode"]
    _refuse_mere_terms(episode["loss"], where)
    if config["data"]["name"] == "corpus" and configures_task_eval(TaskEvalConfig.model_validate(episode["task_eval"])):
        raise ConfigError(f"{where.at(('episode', 'task_eval'))}{NO_TASK}")


NO_TASK = (
    "answers are generated for the problems of a task, and the data has none. Use `data: {name: task, ...}`, or leave "
    "`task_eval` out."
)
"""The error for a task evaluation on data that is no task."""


def configures_task_eval(task_eval: TaskEvalConfig) -> bool:
    """Whether a config sets a task evaluation itself; with the defaults it is made only where the data is a task."""
    return task_eval.problems > 0 and task_eval != TaskEvalConfig()


def _refuse_mere_terms(loss: Mapping[str, Any], where: Source) -> None:
    if _stands_alone(loss):
        return
    place = where.at(("episode", "loss"))
    name, terms = loss["name"], [spec for _, spec in inner_components("loss", loss)]
    if terms:
        raise ConfigError(
            f"{place}the sum has no objective, only terms that are added to one ({', '.join(term['name'] for term in terms)}): "
            "add one that is trained on every token, {name: cross_entropy} say, with a weight above 0."
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
