"""Components by name: the tokenizers, models, losses and so on that a config may name, and their parameters."""

import importlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticUserError

from trimtab.boundary import foreign
from trimtab.boundary.own_code import import_own
from trimtab.config.describe import type_text
from trimtab.config.schema import Component, Frozen
from trimtab.config.wording import unknown_name
from trimtab.errors import ConfigError

Factory = Callable[..., Any]

_SHIPPED = "trimtab"


@dataclass(frozen=True)
class Entry:
    """A name in a registry: `target` is `module:Name`, imported only when the component is used."""

    name: str
    target: str
    origin: str


@dataclass(frozen=True)
class Parameter:
    """One documented parameter of a component; `annotation` is its type and range in words."""

    name: str
    annotation: str
    default: Any
    required: bool
    description: str


class Registry:
    """The components of one kind.

    A component is a class or function whose *keyword-only* parameters are its config; those in `supplied` come from the
    framework (a model's vocabulary, say) and cannot be set. `name` in a config is an entry here or a dotted path
    `package.module:Name` to a user's own. Entries are lazy; a second entry of one name is an error that shows both origins.
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, supplied: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.supplied = frozenset(supplied)
        self._entries: dict[str, Entry] = {}
        self._schemas: dict[str, type[BaseModel]] = {}
        for name, target in entries.items():
            self.add(name, target, origin=_SHIPPED)

    def register(self, name: str, target: str) -> None:
        """Add a component of the caller's under a short name; `target` is `package.module:Name`.

        Raises `ConfigError` when the name is taken, with the file and line of both.
        """
        caller = inspect.stack()[1]
        self.add(name, target, origin=f"{caller.filename}:{caller.lineno}")

    def add(self, name: str, target: str, *, origin: str) -> None:
        """Add a component; `origin` says in errors where its name comes from."""
        if ":" in name or ":" not in target:
            raise ValueError(
                f"'{name}' must be a short name, without a colon, and '{target}' of the form 'package.module:Name'"
            )
        entry = Entry(name, target, origin)
        if (known := self._entries.get(name)) is not None and known != entry:
            raise ConfigError(
                f"The {self.kind} '{name}' is registered twice: as {known.target} by {known.origin} and as {target} by "
                f"{origin}. Give one of them another name."
            )
        self._entries[name] = entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def load(self, name: str, where: str = "") -> Factory:
        """The class or function behind a short name or a dotted path `package.module:Name`.

        Raises `ConfigError`, beginning with `where`, when there is none; a shipped component's own import error comes
        through as it is.
        """
        entry = self._entries.get(name)
        if entry is None and ":" not in name:
            raise ConfigError(self._unknown(name, where))
        module_name, _, attribute = (entry.target if entry is not None else name).partition(":")
        if entry is not None and entry.origin == _SHIPPED:
            component = getattr(importlib.import_module(module_name), attribute)
        else:
            with foreign(ConfigError, lambda reason: f"{where}{self._not_importable(name, reason)}"):
                component = import_own(module_name, attribute)
        if not callable(component):
            raise ConfigError(
                f"{where}'{name}' is a {type(component).__name__}; a {self.kind} must be a class or a function."
            )
        factory: Factory = component
        return factory

    def _not_importable(self, name: str, reason: str) -> str:
        return (
            f"the {self.kind} '{name}' could not be imported ({reason}). A component of your own is named "
            "'package.module:Name'. Install its package, add its folder to PYTHONPATH, or run the command from the folder that "
            "contains it."
        )

    def _unknown(self, name: str, where: str) -> str:
        known = ", ".join(sorted(self._entries)) or "none yet"
        hint = unknown_name(name, self._entries)
        return f"{where}there is no {self.kind} '{name}'.{hint} Known: {known}; or a dotted path 'package.module:Name'."

    def schema(self, name: str, where: str = "") -> type[BaseModel]:
        """The pydantic model of a component's config parameters, made from its signature.

        Raises `ConfigError`, beginning with `where`, for a signature that cannot be one.
        """
        if name not in self._schemas:
            factory = self.load(name, where)
            try:
                self._schemas[name] = self._model(name, factory)
            except (NameError, TypeError, ValueError, PydanticUserError) as error:
                raise ConfigError(
                    f"{where}the signature of the {self.kind} '{name}' does not say how to configure it: {error}. A "
                    "component's parameters are keyword-only (after a *) and have type annotations."
                ) from error
        return self._schemas[name]

    def _model(self, name: str, factory: Factory) -> type[BaseModel]:
        hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory, include_extras=True)
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(factory).parameters.values():
            if parameter.name in self.supplied or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            required = parameter.default is parameter.empty
            if parameter.kind is not parameter.KEYWORD_ONLY:
                if required:
                    raise TypeError(f"the parameter '{parameter.name}' is not keyword-only")
                continue
            if parameter.name not in hints:
                raise TypeError(f"the parameter '{parameter.name}' has no type annotation")
            if (
                parameter.name in ("name", "enabled")
                or parameter.name.startswith("_")
                or hasattr(BaseModel, parameter.name)
            ):
                raise TypeError(f"the parameter '{parameter.name}' has a reserved name")
            fields[parameter.name] = (hints[parameter.name], ... if required else parameter.default)
        config = ConfigDict(
            extra="forbid",
            frozen=True,
            strict=True,
            allow_inf_nan=False,
            arbitrary_types_allowed=True,
            protected_namespaces=(),
        )
        return create_model(f"{self.kind}.{name}", __config__=config, **fields)

    def parameters(self, name: str) -> list[Parameter]:
        """A component's parameters with their types, defaults and descriptions; those of a nested model as `noise.flip`."""
        return _parameters(self.schema(name))

    def resolve(self, spec: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """Validate `{name: ..., **parameters}` against the component's signature; returns it with every default filled in.

        Raises `pydantic.ValidationError` for wrong parameters (the config loader words it) and `ConfigError` otherwise.
        """
        name = spec["name"]
        factory, schema = self.load(name, where), self.schema(name, where)
        parameters = {key: value for key, value in spec.items() if key != "name"}
        if (expand := getattr(factory, "expand", None)) is not None:
            _check_given(schema, parameters)
            parameters = _called(lambda: expand(dict(parameters)), where, name)
        resolved = schema.model_validate_json(json.dumps(parameters), strict=True).model_dump(mode="json")
        if (check := getattr(factory, "check", None)) is not None:
            _called(lambda: check(dict(resolved)), where, name)
        return {"name": name, **resolved}

    def build(self, spec: Mapping[str, Any], **supplied: Any) -> Any:
        """Make the component of a resolved spec, with what the framework supplies in addition to its parameters."""
        return self.call(self.load(spec["name"]), spec, **supplied)

    def call(self, function: Callable[..., Any], spec: Mapping[str, Any], **supplied: Any) -> Any:
        """Call a component's factory, or another function of its parameters, with those that the function takes."""
        parameters = {key: value for key, value in spec.items() if key != "name"}
        model = self.schema(spec["name"]).model_validate_json(json.dumps(parameters), strict=True)
        values = {key: getattr(model, key) for key in type(model).model_fields} | supplied
        taken = inspect.signature(function).parameters
        return function(**{key: value for key, value in values.items() if key in taken})


def _parameters(model: type[BaseModel], prefix: str = "") -> list[Parameter]:
    parameters = []
    for key, field in model.model_fields.items():
        parameters.append(
            Parameter(
                name=prefix + key,
                annotation=type_text(field.annotation, field.metadata),
                default=None if field.is_required() else field.default,
                required=field.is_required(),
                description=field.description or "",
            )
        )
        for inner in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(inner) and issubclass(inner, Frozen) and not issubclass(inner, Component):
                parameters += _parameters(inner, f"{prefix}{key}.")
    return parameters


def accepts(factory: Factory, name: str) -> bool:
    """Whether a component takes a parameter of this name."""
    return name in inspect.signature(factory).parameters


def _check_given(schema: type[BaseModel], parameters: Mapping[str, Any]) -> None:
    """Validate the parameters that are given before `expand` sees them; it may fill in those that are missing."""
    try:
        schema.model_validate_json(json.dumps(parameters), strict=True)
    except ValidationError as error:
        if any(problem["type"] != "missing" for problem in error.errors(include_url=False)):
            raise


def _called(hook: Callable[[], Any], where: str, name: str) -> Any:
    try:
        return hook()
    except ValidationError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where}{name}: {error}") from error
