"""The files that a config names. Their paths are made absolute once, so that a run can be resumed from any folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trimtab.boundary import user_path
from trimtab.config.kinds import REGISTRIES
from trimtab.config.model_paths import HUB
from trimtab.config.schema import FILE_PATH
from trimtab.config.slots import model_in, slots_of


def make_paths_absolute(root: type[BaseModel], data: dict[str, Any]) -> None:
    """Make the relative paths in a resolved mapping absolute, in place, from the working folder; `~/...` stays as it is.

    Paths are the keys and component parameters marked with `FILE_PATH`: text, a list of texts, or null.
    """
    for spec, key, _ in _paths(root, data):
        value = spec[key]
        spec[key] = [_absolute(item) for item in value] if isinstance(value, list) else _absolute(value)


def with_absolute_paths(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A resolved component's spec with the relative paths among its parameters made absolute."""
    fields = REGISTRIES[kind].schema(spec["name"]).model_fields
    named = {key: field for key, field in fields.items() if field.json_schema_extra == FILE_PATH}
    return {key: _absolute(value) if key in named else value for key, value in spec.items()}


def path_keys(config: BaseModel) -> set[str]:
    """The dotted keys of a config that name files (`data.path`)."""
    return {dotted for _, _, dotted in _paths(type(config), config.model_dump(mode="json"))}


def missing_paths(config: BaseModel) -> list[tuple[str, str]]:
    """The dotted key and the path of every file or folder that a config names and that does not exist.

    A path that may be an id on a hub instead (`allow_hub: true`) is left out.
    """
    missing = []
    for spec, key, dotted in _paths(type(config), config.model_dump(mode="json")):
        paths = spec[key] if isinstance(spec[key], list) else [spec[key]]
        if not spec.get("allow_hub"):
            missing += [(dotted, path) for path in paths if path and not user_path(path, dotted).exists()]
    return missing


def _paths(root: type[BaseModel], data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """For every key of a resolved mapping that names files: the mapping that holds it, the key, and its dotted path."""
    yield from _paths_outside_components(root, data, "")
    for slot in slots_of(root):
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


def _paths_outside_components(
    model: type[BaseModel], data: dict[str, Any], prefix: str
) -> Iterator[tuple[dict[str, Any], str, str]]:
    for key, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if field.json_schema_extra == FILE_PATH:
            yield data, key, f"{prefix}{key}"
        elif inner is not None and isinstance(data[key], dict):
            yield from _paths_outside_components(inner, data[key], f"{prefix}{key}.")


def _absolute(path: Any) -> Any:
    # An empty path would become the working folder; the component refuses it. A hub id is not a path.
    if not isinstance(path, str) or not path or path.startswith(("~", HUB)):
        return path
    absolute = str(Path(path).absolute())
    # A config holds only Unicode: in a working folder whose name is not UTF-8, relative paths stay relative.
    return path if any("\ud800" <= character <= "\udfff" for character in absolute) else absolute
