"""Every key of a kind of config and every component, as data: for the reference page and for programs that edit configs."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from trimtab.config.describe import type_text, value_text
from trimtab.config.episode import CHANGEABLE
from trimtab.config.kinds import REGISTRIES
from trimtab.config.registry import Registry
from trimtab.config.schema import Component
from trimtab.config.slots import model_in


@dataclass(frozen=True)
class KeyEntry:
    """A key of a config: its dotted path, its type in words, its default as YAML and its meaning.

    `component` is the kind of component that it holds, if any; `choices` are the values of a key that has few; `group` says
    whether it is a mapping whose keys follow.
    """

    key: str
    type: str
    default: str
    required: bool
    description: str
    changeable: bool = False
    component: str | None = None
    choices: tuple[str, ...] = ()
    group: bool = False


@dataclass(frozen=True)
class ComponentEntry:
    """A component that a config can name, with the first paragraph of its docstring and its parameters."""

    kind: str
    name: str
    target: str
    about: str
    parameters: tuple[KeyEntry, ...]


_ITEM: dict[Any, str] = {tuple: "[]", dict: ".KEY"}
"""How the keys of an item of a list, or of a mapping with any keys, begin."""


def config_keys(
    model: type[BaseModel], prefix: str = "", *, expand: Callable[[type[BaseModel]], bool] = lambda model: True
) -> Iterator[KeyEntry]:
    """The keys of a config, each before those below it. `expand` says whether the keys of a config within it are included."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner = model_in(field.annotation)
        component = inner is not None and issubclass(inner, Component)
        below = inner if inner is not None and inner is not Component and expand(inner) else None
        extra = field.json_schema_extra
        plain = inner is None or component
        yield KeyEntry(
            key=key,
            type=type_text(field.annotation, field.metadata),
            default=""
            if field.is_required() or not plain
            else value_text(field.get_default(call_default_factory=True)),
            required=field.is_required(),
            description=field.description or "",
            changeable=extra == CHANGEABLE,
            component=str(extra["component"]) if isinstance(extra, dict) and "component" in extra else None,
            choices=tuple(_choices(field.annotation)),
            group=below is not None and not component,
        )
        if below is not None:
            yield from config_keys(below, f"{key}{_ITEM.get(get_origin(field.annotation), '')}.", expand=expand)


def components_of(registry: Registry) -> Iterator[ComponentEntry]:
    """The components of a registry. Each is imported, because its signature says what its parameters are."""
    for entry in registry:
        about = (inspect.getdoc(registry.load(entry.name)) or "").split("\n\n")[0].replace("\n", " ")
        fields = registry.schema(entry.name).model_fields
        parameters = tuple(
            KeyEntry(
                key=one.name,
                type=one.annotation,
                default="" if one.required else value_text(one.default),
                required=one.required,
                description=one.description,
                choices=tuple(_choices(fields[one.name].annotation)) if one.name in fields else (),
            )
            for one in registry.parameters(entry.name)
        )
        yield ComponentEntry(registry.kind, entry.name, entry.target, about, parameters)


def all_components() -> Iterator[ComponentEntry]:
    """The components of every kind."""
    for registry in REGISTRIES.values():
        yield from components_of(registry)


def _choices(annotation: Any) -> Iterator[str]:
    """The values of a key that has a few: those of a literal, true and false, null."""
    if annotation is bool:
        yield from ("true", "false")
    elif annotation is type(None):
        yield "null"
    elif get_origin(annotation) is Literal:
        yield from (value_text(value) for value in get_args(annotation))
    elif get_origin(annotation) not in (tuple, list, dict, None):
        for argument in get_args(annotation):
            yield from _choices(argument)
