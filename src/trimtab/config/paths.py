"""The files that a config names: made absolute once, so that a run can go on from any folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from trimtab.boundary import user_path
from trimtab.config.kinds import REGISTRIES
from trimtab.config.model_paths import HUB
from trimtab.config.schema import FILE_PATH
from trimtab.config.slots import slots_of

Root = TypeVar("Root", bound=BaseModel)


def absolute_paths(config: Root) -> Root:
    """A resolved config whose relative paths are absolute, from the working folder; `~/...` stays as it is.

    Paths are the keys and component parameters marked with `FILE_PATH`: text, a list of texts, or null.
    """
    root = type(config)
    data = config.model_dump(mode="json")
    for spec, key, _ in _paths(config, data):
        value = spec[key]
        spec[key] = [_absolute(item) for item in value] if isinstance(value, list) else _absolute(value)
    return root.model_validate_json(json.dumps(data), strict=True)


def path_keys(config: BaseModel) -> set[str]:
    """The dotted keys of a config that name files (`data.path`)."""
    return {dotted for _, _, dotted in _paths(config, config.model_dump(mode="json"))}


def missing_paths(config: BaseModel) -> list[tuple[str, str]]:
    """The dotted key and the path of everything that a config names on the disk and that is not there.

    What may be an id on a hub instead (`allow_hub: true`) is passed over.
    """
    found = []
    for spec, key, dotted in _paths(config, config.model_dump(mode="json")):
        named = spec[key] if isinstance(spec[key], list) else [spec[key]]
        if not spec.get("allow_hub"):
            found += [(dotted, path) for path in named if path and not user_path(path, dotted).exists()]
    return found


def _paths(config: BaseModel, data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """A mapping within a config's `data`, its key that names a file, and that key's dotted path, for every such key."""
    yield from _own(config, data, "")
    for slot in slots_of(type(config)):
        here: Any = data
        for part in slot.path:
            here = here[part]
        for index, spec in enumerate(here if slot.many else [here]):
            if spec is None:
                continue
            place = ".".join([*slot.path, str(index)] if slot.many else slot.path)
            for key, field in REGISTRIES[slot.kind].schema(spec["name"]).model_fields.items():
                if field.json_schema_extra == FILE_PATH and key in spec:
                    yield spec, key, f"{place}.{key}"


def _own(config: BaseModel, data: dict[str, Any], place: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """The same of the config's own keys, those of components left out."""
    for key, field in type(config).model_fields.items():
        value = getattr(config, key)
        if field.json_schema_extra == FILE_PATH:
            yield data, key, f"{place}{key}"
        elif isinstance(value, BaseModel):
            yield from _own(value, data[key], f"{place}{key}.")


def _absolute(path: Any) -> Any:
    # An empty path would become the working folder; it is left for the component to refuse. A hub id is no path.
    if not isinstance(path, str) or not path or path.startswith(("~", HUB)):
        return path
    absolute = str(Path(path).absolute())
    # A working folder whose name is not UTF-8 has no place in a config: a path relative to it stays relative.
    return path if any("\ud800" <= character <= "\udfff" for character in absolute) else absolute
