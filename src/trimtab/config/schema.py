"""The base classes of configs: frozen, typed models, and components by name."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

FILE_PATH: dict[str, Any] = {"file_path": True}
"""Marks the component parameters that name files, by `Field(json_schema_extra=FILE_PATH)`: a run makes them absolute."""


def component(kind: str) -> dict[str, Any]:
    """Marks a key that holds a component of a kind, or a list of them, by `Field(json_schema_extra=component("loss"))`."""
    return {"component": kind}


class Frozen(BaseModel):
    """Base of the config models: immutable, strict, no unknown keys, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Component(Frozen):
    """A component by name, with its parameters next to the name: `{name: adamw, lr: 3.0e-4}`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: Annotated[
        str, Field(min_length=1, description="a name that `trimtab components` lists, or 'package.module:Name'")
    ]

    @property
    def spec(self) -> dict[str, Any]:
        """Name and parameters as one plain mapping."""
        return self.model_dump(mode="json")


class NestedComponent(Component):
    """A component that is a parameter of another one: of a subclass's `kind`, with the subclass's own keys next to it."""

    kind: ClassVar[str]
