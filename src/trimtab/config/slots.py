"""Where components are in a config: the keys that its schema marks with `component(kind)`."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from trimtab.config.schema import Component
from trimtab.config.yaml_file import Path


@dataclass(frozen=True)
class Slot:
    """A key of a config that holds a component of a kind, or (`many`) a list of them.

    `schema_keys` are keys of the component that the config's schema validates; all others are the component's own parameters.
    `default` names the component where the config names none.
    """

    path: tuple[str, ...]
    kind: str
    many: bool = False
    schema_keys: tuple[str, ...] = ()
    default: str | None = None


@functools.cache
def slots_of(root: type[BaseModel]) -> tuple[Slot, ...]:
    """The slots of a kind of config, each before those within it."""
    return tuple(_slots(root, (), None))


def slot_at(root: type[BaseModel], path: Path) -> Slot | None:
    """The slot whose component is at `path`; None where there is none."""
    for slot in slots_of(root):
        if (slot.many and path[:-1] == slot.path and isinstance(path[-1], int)) or (
            not slot.many and path == slot.path
        ):
            return slot
    return None


def _slots(model: type[BaseModel], path: tuple[str, ...], value: BaseModel | None) -> Iterator[Slot]:
    """The slots below a part of a config; `value` is its default, None where it has none."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is None:
            continue
        if value is not None:
            default = getattr(value, name)
        else:
            default = None if path or field.is_required() else field.get_default(call_default_factory=True)
        extra = field.json_schema_extra
        if isinstance(extra, dict) and isinstance(kind := extra.get("component"), str):
            schema_keys = tuple(key for key in inner.model_fields if key != "name")
            named = default.name if isinstance(default, Component) else None
            yield Slot((*path, name), kind, get_origin(field.annotation) is tuple, schema_keys, named)
        if get_origin(field.annotation) is not tuple:
            yield from _slots(inner, (*path, name), default if isinstance(default, BaseModel) else None)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The config model in a key's annotation, also in a list or a union with None; None for a plain value."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    for inner in (annotation, *get_args(annotation)):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return None
