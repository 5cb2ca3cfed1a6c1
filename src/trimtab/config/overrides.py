"""`--set key=value`: one key of a config changed from the command line."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from trimtab.boundary import shortened
from trimtab.config.slots import slot_at
from trimtab.config.yaml_file import Path, dotted, parse_value
from trimtab.errors import ConfigError

_PART = re.compile(r"([^.\[\]]+)((?:\[[0-9]{1,9}\])*)")


def apply_overrides(data: dict[str, Any], overrides: Iterable[str], root: type[BaseModel] | None = None) -> list[Path]:
    """Apply `key=value` options to a config of the kind `root`, in place and in order; returns the paths that they set."""
    paths = []
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            got = shortened(override, 80)
            raise ConfigError(f"--set takes key=value, such as episode.optimizer.lr=1e-3; got '{got}'.")
        key = key.strip()
        paths.append(set_key(data, key, parse_value(text, f"--set {shortened(key, 80)}"), root))
    return paths


def set_key(data: dict[str, Any], key: str, value: Any, root: type[BaseModel] | None = None) -> Path:
    """Set a dotted key in a nested mapping, in place; `hooks[0].every` reaches into lists. Returns the key's path.

    A place just beyond a list's end makes the list longer. Naming another component (`episode.optimizer.name=sgd`, or the
    whole of `episode.optimizer`) drops the old one's parameters, which would not fit it; `root`, the schema of the config, says
    where components are.
    """
    path = _parsed(key)
    key = shortened(key, 80)
    here: Any = data
    for depth, (part, after) in enumerate(zip(path[:-1], path[1:], strict=True)):
        _reach(here, part, path[:depth], key)
        empty: Any = [] if isinstance(after, int) else {}
        if isinstance(here, dict):
            if here.get(str(part)) is None:
                here[str(part)] = empty
            here = here[str(part)]
        else:
            if part == len(here):
                here.append(empty)
            here = here[int(part)]
    last = path[-1]
    _reach(here, last, path[:-1], key)
    if isinstance(here, dict):
        slot = slot_at(root, path[:-1]) if root is not None and last == "name" else None
        if slot is not None and here.get("name", slot.default) not in (None, value):
            _drop_parameters(here, slot.schema_keys)
        here[str(last)] = value
    else:
        here[int(last) : int(last) + 1] = [value]
    return path


def _parsed(key: str) -> Path:
    path: list[str | int] = []
    for part in key.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise ConfigError(
                f"--set {shortened(key, 80)}: '{shortened(part, 40)}' is not a key. Keys are joined by dots, and a place in a "
                "list is written hooks[0]."
            )
        path += [match[1], *(int(index) for index in re.findall(r"\d+", match[2]))]
    return tuple(path)


def _reach(here: Any, part: str | int, path: Path, key: str) -> None:
    """Raise `ConfigError` unless the value `here` at `path` can have the key or index `part`."""
    name = f"'{dotted(path)}'" if path else "the config"
    if isinstance(here, dict) and isinstance(part, str):
        return
    if isinstance(here, list) and isinstance(part, int):
        if part <= len(here):
            return
        raise ConfigError(
            f"--set {key}: {name} has {len(here)} entries, so the next place is [{len(here)}], not [{part}]."
        )
    if isinstance(here, dict):
        raise ConfigError(f"--set {key}: {name} is a mapping, not a list; [{part}] has no meaning there.")
    if isinstance(here, list):
        raise ConfigError(f"--set {key}: {name} is a list; write {dotted(path)}[0].{part} for its first entry.")
    raise ConfigError(f"--set {key}: {name} is the plain value {shortened(repr(here), 80)}; it has no keys.")


def _drop_parameters(component: dict[str, Any], kept: tuple[str, ...]) -> None:
    for key in [key for key in component if key not in kept]:
        del component[key]
