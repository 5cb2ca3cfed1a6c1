"""Kinds of run, and the components that each brings.

A kind of run is registered by an entry point of the group `trimtab.kinds`. Those of this package are in its pyproject.toml; an
installed package may add others. An entry point of the group `trimtab.components` adds components by a mapping from kinds of
component to names and their targets: `{"loss": {"mine": "my_package.losses:Mine"}}`.
"""

import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel

from trimtab.boundary import foreign
from trimtab.config.registry import Registry
from trimtab.config.wording import unknown_name
from trimtab.errors import ConfigError

KINDS_GROUP, COMPONENTS_GROUP = "trimtab.kinds", "trimtab.components"


@dataclass(frozen=True)
class RunKind:
    """A kind of run. Messages call such a run `noun`; the command line `command` starts one.

    The fields that end in `_path` name, as `module:Name`, objects that are imported when they are needed:

    - `schema_path`: the config, a subclass of `Frozen`.
    - `components_path`: a sequence of `Registry`, the kinds of component that this kind of run brings.
    - `run_path`: `(resolved config, folder, context) -> result`. Starts the run in the folder, resumes it, or finds it finished,
      and returns its `status` and metrics. `context` is a `trimtab.runtime.context.RunContext`.
    - `metrics_path`: `(config) -> trimtab.records.metrics.Metrics`, the metrics that a run of this config will have.
    - `check_path`: `(resolved config, where) -> None`, raises ConfigError for keys that do not fit together.
    - `report_path`: `(folder) -> list of files`, writes the report of one run.
    - `sections_path`: the sections of the report of an experiment whose episodes are such runs, in order.
    - `headline_path`: `(metrics of the summary) -> sentence or None`, the result of a run in a line, for `trimtab show`.

    `config_file` is the file in a run's folder that `command` reads to resume the run; None where it needs none.
    `steps` says whether its runs are made of training steps: only these can be forked, tuned and compared step by step.
    """

    name: str
    noun: str
    command: str
    schema_path: str
    run_path: str
    metrics_path: str
    components_path: str | None = None
    check_path: str | None = None
    report_path: str | None = None
    sections_path: str | None = None
    headline_path: str | None = None
    config_file: str | None = None
    steps: bool = False

    @property
    def schema(self) -> type[BaseModel]:
        """The schema of its config."""
        schema: type[BaseModel] = self.load("schema")
        return schema

    def load(self, part: str) -> Any:
        """The object that `{part}_path` names; None where the path is None."""
        path = getattr(self, f"{part}_path")
        if path is None:
            return None
        module, _, name = path.partition(":")
        return getattr(importlib.import_module(module), name)


@functools.cache
def run_kinds() -> Mapping[str, RunKind]:
    """Every kind of run by its name, those made of training steps first.

    Raises `ConfigError` for an installed package whose kind cannot be imported, is not a `RunKind`, or has a name that is taken.
    """
    by_name: dict[str, RunKind] = {}
    for point, kind in _loaded(KINDS_GROUP):
        if not isinstance(kind, RunKind):
            raise ConfigError(
                f"{_named(point)} is a {type(kind).__name__}, not a RunKind. Repair or remove that package."
            )
        if kind.name in by_name:
            raise ConfigError(
                f"{_named(point)} is a second kind of run named '{kind.name}'. Remove one of the two packages."
            )
        by_name[kind.name] = kind
    if not by_name:
        raise ConfigError(
            "No kind of run is registered: the installation of Trimtab has no entry points. Install it with pip "
            "(`pip install -e .` in a checkout)."
        )
    return dict(sorted(by_name.items(), key=lambda item: not item[1].steps))


def kind_named(name: str, where: str = "") -> RunKind:
    """The kind of run of this name. Raises `ConfigError`, beginning with `where`, where there is none."""
    if (kind := run_kinds().get(name)) is None:
        raise ConfigError(
            f"{where}there is no kind of run '{name}'.{unknown_name(name, run_kinds())} Known: {', '.join(run_kinds())}."
        )
    return kind


def kind_of(root: type[BaseModel]) -> RunKind | None:
    """The kind of run whose config has this schema."""
    return next((kind for kind in run_kinds().values() if kind.schema is root), None)


def installed(group: str) -> list[EntryPoint]:
    """The entry points of a group, this package's own first."""
    return sorted(
        entry_points(group=group), key=lambda point: (_package(point) != "trimtab", _package(point), point.name)
    )


def _loaded(group: str) -> Iterator[tuple[EntryPoint, Any]]:
    for point in installed(group):
        yield point, loaded(point)


def loaded(point: EntryPoint) -> Any:
    """The object that an entry point names. Raises `ConfigError` that names its package where it cannot be imported."""
    with foreign(ConfigError, lambda reason: f"{_named(point)} cannot be imported: {reason}."):
        return point.load()


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _named(point: EntryPoint) -> str:
    return f"The entry point '{point.name}' ({point.value}) of the package {_package(point)}"


# --- what a config describes ---------------------------------------------------------------------------------------

EXPERIMENT, EXPERIMENT_COMMAND = "an experiment", "trimtab run"
_EXPERIMENTS_KEYS = frozenset({"arms", "claim"})
"""Keys of an experiment that no config of a run has; an experiment's other keys are the config that its arms start from."""


def refuse_other_kinds(data: Mapping[str, Any], source: str, wanted: str) -> None:
    """Raise `ConfigError` where the keys of a config show that it describes something else than `wanted` (a noun)."""
    described = _described(data)
    if described is not None and described[0] != wanted:
        raise ConfigError(
            f"{source} describes {described[0]}, and this command needs {wanted}. Give it to `{described[1]}`."
        )


def described_kind(data: Mapping[str, Any]) -> str | None:
    """The name of the kind of run that a config describes, `experiment` for an experiment; None where its keys do not say."""
    described = _described(data)
    if described is None:
        return None
    return next((kind.name for kind in run_kinds().values() if kind.noun == described[0]), "experiment")


def _described(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Noun and command of what a config describes, by keys that only this has; None where it has no such key."""
    if not _EXPERIMENTS_KEYS.isdisjoint(data):
        return EXPERIMENT, EXPERIMENT_COMMAND
    fields = {kind.name: set(kind.schema.model_fields) for kind in run_kinds().values()}
    for kind in run_kinds().values():
        others = set().union(*(own for name, own in fields.items() if name != kind.name))
        if not (fields[kind.name] - others).isdisjoint(data):
            return kind.noun, kind.command
    return None


# --- the components that kinds and packages bring --------------------------------------------------------------------


class Registries(Mapping[str, Registry]):
    """Every registry of components by its kind of component; collected at the first use."""

    @functools.cached_property
    def _by_kind(self) -> dict[str, Registry]:
        registries: dict[str, Registry] = {}
        for kind in run_kinds().values():
            for registry in kind.load("components") or ():
                if registry.kind in registries:
                    raise ConfigError(
                        f"The run kind '{kind.name}' defines the component kind '{registry.kind}', which another run kind "
                        "already defines. Rename one of them."
                    )
                registries[registry.kind] = registry
        for point, added in _loaded(COMPONENTS_GROUP):
            for kind_of_component, entries in added.items():
                if kind_of_component not in registries:
                    raise ConfigError(
                        f"{_named(point)} adds components of the kind '{kind_of_component}', which does not exist."
                        f"{unknown_name(kind_of_component, registries)} Known: {', '.join(registries)}."
                    )
                for name, target in entries.items():
                    registries[kind_of_component].add(name, target, origin=f"the package {_package(point)}")
        return registries

    def __getitem__(self, kind: str) -> Registry:
        return self._by_kind[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_kind)

    def __len__(self) -> int:
        return len(self._by_kind)


REGISTRIES = Registries()
