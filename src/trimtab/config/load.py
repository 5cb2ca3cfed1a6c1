"""From a file, a mapping and `--set` options to a validated, resolved config."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trimtab.config.canonical import config_hash
from trimtab.config.kinds import kind_of, refuse_other_kinds
from trimtab.config.nested import resolve_component
from trimtab.config.offline import is_here
from trimtab.config.overrides import apply_overrides
from trimtab.config.paths import make_paths_absolute
from trimtab.config.permission import refuse_code, refuse_fetching, refuse_recorded_code
from trimtab.config.plain import plain_values
from trimtab.config.slots import slots_of
from trimtab.config.wording import Source, worded
from trimtab.config.yaml_file import load_yaml
from trimtab.errors import ConfigError, RunError

Root = TypeVar("Root", bound=BaseModel)


def load_root(root: type[Root], path: FilePath | None = None, overrides: Iterable[str] = ()) -> Root:
    """Read a YAML config (None: every default), apply `key=value` overrides, validate and resolve it.

    Raises `ConfigError` that names the file, the line and the key, and `RunError` for a file in a folder of records that names
    code, unless that is allowed (`allowing_code`).
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
    """The config `data` that the records in the file `source` hold, validated.

    Before any component is imported, the hash is compared with the recorded one; dotted paths, and hub ids of what would have
    to be fetched, are refused unless they are allowed (`allowing_code`). Raises `RunError` for these, and `ConfigError` for a
    config that is not valid.
    """
    if not _has_hash(data, expected_hash):
        raise RunError(
            f"The config in {source} is not the one that the run was started with: its hash is not the recorded one, so it was "
            "changed by hand. Undo that; to change a run on purpose use `trimtab resume --set key=value --accept-changes` or "
            "`trimtab fork`."
        )
    refuse_code(data, source)
    refuse_fetching(data, source, is_here)
    config = resolve_root(root, data, Source(source))
    if config_hash(config) != expected_hash:
        raise RunError(
            f"The config in {source} was written by another version of Trimtab, or with another version of a component of your "
            "own, and means something else now: its keys or their defaults have changed. Use that version."
        )
    return config


def _has_hash(data: Mapping[str, Any], expected: str) -> bool:
    try:
        return config_hash(data) == expected
    except (ValueError, RecursionError):  # nothing that we wrote: an infinity, half a character, a thousand levels
        return False


def resolve_root(root: type[Root], data: Mapping[str, Any], where: Source) -> Root:
    """Validate a plain mapping, fill in every default (those of the named components too) and make its paths absolute.

    Everything that takes a config within a process takes a resolved one and does not validate it again. Raises `ConfigError`,
    which begins with the name of `where`.
    """
    plain = plain_values(data, where)
    _name_defaults(root, plain)
    try:
        resolved = _validated(root, plain).model_dump(mode="json")
    except ValidationError as error:
        raise ConfigError(worded(error, root, where)) from error
    for slot in slots_of(root):
        parent = resolved
        for part in slot.path[:-1]:
            parent = parent[part]
        key = slot.path[-1]
        if slot.many:
            parent[key] = [
                resolve_component(slot.kind, spec, where, (*slot.path, index), slot.beside)
                for index, spec in enumerate(parent[key])
            ]
        elif parent[key] is not None:
            parent[key] = resolve_component(slot.kind, parent[key], where, slot.path, slot.beside)
    make_paths_absolute(root, resolved)
    config = _validated(root, resolved)
    kind = kind_of(root)
    if kind is not None and (check := kind.load("check")) is not None:
        check(config, where)
    return config


def _validated(root: type[Root], plain: Mapping[str, Any]) -> Root:
    # Through JSON, so that strict validation takes lists for tuples and nothing else is converted.
    return root.model_validate_json(json.dumps(plain), strict=True)


def _name_defaults(root: type[BaseModel], data: dict[str, Any]) -> None:
    """Write the default component's name into every slot that holds parameters without a name."""
    for slot in slots_of(root):
        here: Any = data
        for part in slot.path:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict) and "name" not in here and slot.default is not None:
            here["name"] = slot.default
