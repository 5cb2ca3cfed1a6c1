"""Resolving a component with those that are its parameters: the terms of a sum of losses."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from trimtab.config.kinds import REGISTRIES
from trimtab.config.registry import Registry
from trimtab.config.schema import NestedComponent
from trimtab.config.wording import Source, worded
from trimtab.config.yaml_file import Path
from trimtab.errors import ConfigError


def resolve_component(
    kind: str, spec: Mapping[str, Any], where: Source, path: Path = (), schema_keys: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A component's spec with every default filled in, its nested components' too, and checked.

    Keys of `schema_keys` are not the component's own and stay as they are. Raises `ConfigError`, which names the file, the line
    and the key path.
    """
    registry = REGISTRIES[kind]
    own = {key: spec[key] for key in schema_keys if key in spec}
    try:
        resolved = registry.resolve({key: value for key, value in spec.items() if key not in own}, where.at(path))
    except ValidationError as error:
        raise ConfigError(worded(error, registry.schema(spec["name"]), where, path, ("name", *schema_keys))) from error
    for key, nested in _nested_parameters(registry, spec["name"]).items():
        inner = resolved[key]
        if isinstance(inner, list):
            resolved[key] = [_below(nested, item, where, (*path, key, index)) for index, item in enumerate(inner)]
        elif inner is not None:
            resolved[key] = _below(nested, inner, where, (*path, key))
    return {**resolved, **own}


def nested_components(kind: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and spec of every component within a resolved one, at any depth; the component itself is not among them."""
    for inner, item in inner_components(kind, spec):
        yield inner, item
        yield from nested_components(inner, item)


def inner_components(kind: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and spec of every component that is a parameter of a resolved one; theirs are not among them."""
    for key, nested in _nested_parameters(REGISTRIES[kind], spec["name"]).items():
        inner = spec[key]
        for item in inner if isinstance(inner, list) else [inner] if inner is not None else []:
            yield nested.kind, item


def _below(nested: type[NestedComponent], spec: dict[str, Any], where: Source, path: Path) -> dict[str, Any]:
    schema_keys = tuple(key for key in nested.model_fields if key != "name")
    taken = [
        key for key in schema_keys if key in REGISTRIES[nested.kind].schema(spec["name"], where.at(path)).model_fields
    ]
    if taken:
        raise ConfigError(
            f"{where.at(path)}'{spec['name']}' has a parameter '{taken[0]}' of its own, and here that key means something "
            "else. Give the parameter another name."
        )
    return resolve_component(nested.kind, spec, where, path, schema_keys)


def _nested_parameters(registry: Registry, name: str) -> dict[str, type[NestedComponent]]:
    """The parameters that hold a nested component, one or null, or a list of them."""
    parameters = {}
    for key, field in registry.schema(name).model_fields.items():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, NestedComponent):
                parameters[key] = inner
    return parameters
