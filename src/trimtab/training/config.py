"""The config of a training run: its schema, and how it is loaded."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trimtab.config import Component, ConfigError, EpisodeConfig, Frozen, MonitorConfig, component
from trimtab.config.load import load_root, resolve_root
from trimtab.config.wording import Source
from trimtab.config.yaml_file import Lines


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

    @property
    def own_spec(self) -> dict[str, Any]:
        """Name and parameters of the data component itself, without its tokenizer and task."""
        return {key: value for key, value in self.spec.items() if key not in ("tokenizer", "task")}


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


PRESETS = Path(__file__).with_name("presets")
"""The folder of the complete configs that ship with Trimtab."""


def preset_path(name: str) -> Path:
    """The file of a preset. Raises `ConfigError` if there is none of this name."""
    known = {path.stem: path for path in sorted(PRESETS.glob("*.yaml"))}
    if name not in known:
        raise ConfigError(f"There is no preset '{name}'. The presets are: {', '.join(known)}.")
    return known[name]


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
