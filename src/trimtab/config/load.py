"""Resolving a config: from a file, a mapping or `--set` options to a validated config with every default filled in."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trimtab.config.canonical import config_hash
from trimtab.config.kinds import REGISTRIES, kind_of, refuse_other_kinds
from trimtab.config.nested import resolve_component
from trimtab.config.offline import is_here
from trimtab.config.overrides import apply_overrides
from trimtab.config.paths import make_paths_absolute
from trimtab.config.permission import refuse_code, refuse_fetching, refuse_recorded_code
from trimtab.config.plain import plain_values
from trimtab.config.schema import Component
from trimtab.config.slots import model_in, slots_of
from trimtab.config.wording import Source, worded
from trimtab.config.yaml_file import load_yaml
from trimtab.errors import ConfigError, RunError

Root = TypeVar("Root", bound=BaseModel)


def load_root(root: type[Root], path: FilePath | None = None, overrides: Iterable[str] = ()) -> Root:
    """Read a YAML config (None: every default), apply `key=value` overrides, validate and resolve it.

    Raises `ConfigError` that names the file, the line and the key. Raises `RunError` if the file lies in a folder of records, or
    below one, and contains a dotted path (code) or allows the hub, unless that is allowed (`allowing_code`).
    """
    data, lines = load_yaml(path) if path is not None else ({}, {})
    if path is not None:
        if (kind := kind_of(root)) is not None:
            refuse_other_kinds(data, str(path), kind.noun)
        refuse_recorded_code(data, path)
    where = Source(str(path) if path is not None else "--set", lines)
    for changed in apply_overrides(data, overrides, root):
        where.override(changed)
    return resolve_root(root, data, where)


def recorded_root(root: type[Root], data: Mapping[str, Any], expected_hash: str, source: str) -> Root:
    """Resolve the config `data` from the file of records `source`.

    Before any component is imported, the hash is compared with the recorded one. Dotted paths, and hub ids of models that would
    have to be fetched, are refused unless they are allowed (`allowing_code`). The hash of the resolved config is compared after
    the import. Raises `RunError` for these, and `ConfigError` for a config that is not valid.
    """
    if not _has_hash(data, expected_hash):
        raise RunError(
            f"The config in {source} was changed by hand: its hash is not the recorded one. Undo the change. To change a run on "
            "purpose, use `trimtab resume --set key=value --accept-changes` or `trimtab fork`."
        )
    refuse_code(data, source)
    refuse_fetching(data, source, is_here)
    config = resolve_root(root, data, Source(source))
    if config_hash(config) != expected_hash:
        raise RunError(
            f"The config in {source} was written by another version of Trimtab, or with another version of a component of your "
            "own, in which keys or defaults were different. Use that version."
        )
    return config


def _has_hash(data: Mapping[str, Any], expected: str) -> bool:
    try:
        return config_hash(data) == expected
    except (ValueError, RecursionError):  # not written by Trimtab: an infinity, a lone surrogate, too deep a nesting
        return False


def resolve_root(root: type[Root], data: Mapping[str, Any], where: Source) -> Root:
    """Validate a plain mapping, fill in every default (those of the named components too) and make its paths absolute.

    Other functions expect a config that is already resolved and do not validate it again. Raises `ConfigError`,
    which begins with the name of `where`.
    """
    plain = plain_values(data, where)
    _name_defaults(root, plain)
    try:
        resolved = _validated(root, plain).model_dump(mode="json")
    except ValidationError as error:
        raise ConfigError(worded(error, root, where, keys_named=lambda name: keys_named(root, plain, name))) from error
    for slot in slots_of(root):
        parent = resolved
        for part in slot.path[:-1]:
            parent = parent[part]
        key = slot.path[-1]
        if slot.many:
            parent[key] = [
                resolve_component(slot.kind, spec, where, (*slot.path, index), slot.schema_keys)
                for index, spec in enumerate(parent[key])
            ]
        elif parent[key] is not None:
            parent[key] = resolve_component(slot.kind, parent[key], where, slot.path, slot.schema_keys)
    make_paths_absolute(root, resolved)
    config = _validated(root, resolved)
    kind = kind_of(root)
    if kind is not None and (check := kind.load("check")) is not None:
        check(config, where)
    return config


def keys_named(root: type[BaseModel], data: Mapping[str, Any], name: str) -> list[str]:
    """At most three of the dotted keys of a config whose last part is `name`.

    Parameters of the components in `data` are included, but not those of components in lists.
    """
    keys = [key for key in _keys(root, "") if key.rpartition(".")[2] == name]
    for slot in slots_of(root):
        spec: Any = data
        for part in slot.path:
            spec = spec.get(part) if isinstance(spec, Mapping) else None
        component = spec.get("name") if isinstance(spec, Mapping) else slot.default
        with suppress(ConfigError):
            if isinstance(component, str) and name in REGISTRIES[slot.kind].schema(component).model_fields:
                keys.append(".".join([*slot.path, name]))
    return keys[:3]


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        yield f"{prefix}{key}"
        inner = model_in(field.annotation)
        if inner is not None and not issubclass(inner, Component):
            yield from _keys(inner, f"{prefix}{key}.")


def _validated(root: type[Root], plain: Mapping[str, Any]) -> Root:
    # Through JSON, so that strict validation takes a list for a tuple, an integer for a float and a text for a path or an enum.
    return root.model_validate_json(json.dumps(plain), strict=True)


def _name_defaults(root: type[BaseModel], data: dict[str, Any]) -> None:
    """Write the default component's name into every slot that holds parameters without a name."""
    for slot in slots_of(root):
        here: Any = data
        for part in slot.path:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict) and "name" not in here and slot.default is not None:
            here["name"] = slot.default
