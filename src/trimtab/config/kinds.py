"""Kinds of run, and the components that each brings.

A kind is registered by an entry point of the group `trimtab.kinds`: this package's own are in its pyproject.toml, another
package adds one by installing it. An entry point of the group `trimtab.components` adds components: a mapping of a kind of
component to names and what they stand for, `{"loss": {"mine": "my_package.losses:Mine"}}`.
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
    """A kind of run. `noun` is what messages call one, `command` what runs one.

    The other fields name, as `module:Name`, what is imported when it is needed:

    - `schema_path`: the config, a subclass of `Frozen`.
    - `components_path`: a sequence of `Registry`, the kinds of component that this kind of run brings.
    - `run_path`: `(config, folder, context) -> result`. Starts the run in the folder, goes on with it, or finds it done, and
      returns its `status` and figures. `context` is a `trimtab.runtime.context.RunContext`.
    - `metrics_path`: `(config) -> trimtab.records.metrics.Metrics`, the metrics that a run of this config will have.
    - `check_path`: `(resolved config, where) -> None`, raises ConfigError for keys that do not fit together.
    - `report_path`: `(folder) -> list of files`, writes the report of one run.
    - `sections_path`: the sections of the report of an experiment whose episodes are such runs, in order.
    - `headline_path`: `(metrics of the summary) -> sentence or None`, the result of a run in a line, for `trimtab show`.

    `config_file` is the file of a run's folder that holds its config, where `command` reads one to go on with the run.
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
        found: type[BaseModel] = self.load("schema")
        return found

    def load(self, part: str) -> Any:
        """What `{part}_path` names; None where that is None."""
        path = getattr(self, f"{part}_path")
        if path is None:
            return None
        module, _, name = path.partition(":")
        return getattr(importlib.import_module(module), name)


@functools.cache
def kinds() -> Mapping[str, RunKind]:
    """Every kind of run by its name, those made of training steps first.

    Raises `ConfigError` for an installed package whose kind cannot be imported, is none, or has the name of another.
    """
    found: dict[str, RunKind] = {}
    for point, kind in _loaded(KINDS_GROUP):
        if not isinstance(kind, RunKind):
            raise ConfigError(
                f"{_named(point)} is a {type(kind).__name__}, not a RunKind. Mend or remove that package."
            )
        if kind.name in found:
            raise ConfigError(
                f"{_named(point)} is a second kind of run named '{kind.name}'. Remove one of the two packages."
            )
        found[kind.name] = kind
    found = dict(sorted(found.items(), key=lambda item: not item[1].steps))
    if not found:
        raise ConfigError(
            "No kind of run is registered: the installation of Trimtab has no entry points. Install it with pip "
            "(`pip install -e .` in a checkout)."
        )
    return found


def kind_named(name: str, where: str = "") -> RunKind:
    """The kind of run of this name. Raises `ConfigError`, beginning with `where`, where there is none."""
    if (kind := kinds().get(name)) is None:
        raise ConfigError(
            f"{where}there is no kind of run '{name}'.{unknown_name(name, kinds())} Known: {', '.join(kinds())}."
        )
    return kind


def kind_of(root: type[BaseModel]) -> RunKind | None:
    """The kind of run whose config has this schema."""
    return next((kind for kind in kinds().values() if kind.schema is root), None)


def installed(group: str) -> list[EntryPoint]:
    """The entry points of a group, this package's own first."""
    return sorted(
        entry_points(group=group), key=lambda point: (_package(point) != "trimtab", _package(point), point.name)
    )


def _loaded(group: str) -> Iterator[tuple[EntryPoint, Any]]:
    for point in installed(group):
        yield point, loaded(point)


def loaded(point: EntryPoint) -> Any:
    """What an entry point names. Raises `ConfigError` that names its package where it cannot be imported."""
    with foreign(ConfigError, lambda reason: f"{_named(point)} cannot be imported: {reason}."):
        return point.load()


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _named(point: EntryPoint) -> str:
    return f"The entry point '{point.name}' ({point.value}) of the package {_package(point)}"


# --- what a config describes ---------------------------------------------------------------------------------------

EXPERIMENT, EXPERIMENT_COMMAND = "an experiment", "trimtab run"
_EXPERIMENTS_KEYS = frozenset({"arms", "claim"})
"""Keys that an experiment has and no config of a run; the rest of an experiment is the config that its arms start from."""


def refuse_other_kinds(data: Mapping[str, Any], source: str, wanted: str) -> None:
    """Raise `ConfigError` where the keys say that a config of the `wanted` kind (its noun) describes something else."""
    described = _described(data)
    if described is not None and described[0] != wanted:
        raise ConfigError(
            f"{source} describes {described[0]}, and this command needs {wanted}. Give it to `{described[1]}`."
        )


def _described(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Noun and command of what a config describes, by keys that nothing else has; None where it has no such key."""
    if not _EXPERIMENTS_KEYS.isdisjoint(data):
        return EXPERIMENT, EXPERIMENT_COMMAND
    fields = {kind.name: set(kind.schema.model_fields) for kind in kinds().values()}
    for kind in kinds().values():
        others = set().union(*(own for name, own in fields.items() if name != kind.name))
        if not (fields[kind.name] - others).isdisjoint(data):
            return kind.noun, kind.command
    return None


# --- the components that kinds and packages bring --------------------------------------------------------------------


class Registries(Mapping[str, Registry]):
    """Every registry of components by its kind of component; gathered at the first use."""

    @functools.cached_property
    def _found(self) -> dict[str, Registry]:
        found: dict[str, Registry] = {}
        for kind in kinds().values():
            for registry in kind.load("components") or ():
                if registry.kind in found:
                    raise ConfigError(
                        f"The run kind '{kind.name}' brings components of the kind '{registry.kind}', which another run kind "
                        "has. Give them another name."
                    )
                found[registry.kind] = registry
        for point, added in _loaded(COMPONENTS_GROUP):
            for kind_of_component, entries in added.items():
                if kind_of_component not in found:
                    raise ConfigError(
                        f"{_named(point)} adds components of the kind '{kind_of_component}', which does not exist."
                        f"{unknown_name(kind_of_component, found)} Known: {', '.join(found)}."
                    )
                for name, target in entries.items():
                    found[kind_of_component].add(name, target, origin=f"the package {_package(point)}")
        return found

    def __getitem__(self, kind: str) -> Registry:
        return self._found[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


REGISTRIES = Registries()
