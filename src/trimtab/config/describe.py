"""A parameter's type, range and default in the notation of the config reference: `number ≥ 0, < 1`, `[0.9, 0.95]`."""

import inspect
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from trimtab.config.schema import Component
from trimtab.config.yaml_file import dump_yaml

_PLAIN = {str: "text", bool: "true or false", int: "whole number", float: "number", dict: "mapping", type(None): "null"}


def type_text(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type and its bounds in words."""
    bounds = ", ".join(filter(None, map(_bound, metadata)))
    return _type(annotation) + (f" {bounds}" if bounds else "")


def value_text(value: Any) -> str:
    """A default as YAML on one line."""
    value = to_jsonable_python(value)
    text = dump_yaml(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *metadata = arguments
        flat = [item for m in metadata for item in (m.metadata if isinstance(m, FieldInfo) else [m])]
        return type_text(inner, flat)
    if origin is Literal:
        return " or ".join(value_text(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(argument) for argument in arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"list of {len(arguments)}: " + ", ".join(_type(argument) for argument in arguments)
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if annotation is None:
        return "null"
    if annotation is Any:
        return "any value"
    if inspect.isclass(annotation) and issubclass(annotation, Component):
        return "component"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "mapping"
    return _PLAIN.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _bound(item: Any) -> str:
    for kind, sign in ((Ge, "≥"), (Gt, ">"), (Le, "≤"), (Lt, "<")):
        if isinstance(item, kind):
            return f"{sign} {getattr(item, kind.__name__.lower())}"
    if isinstance(item, MinLen):
        return "not empty" if item.min_length == 1 else f"of length ≥ {item.min_length}"
    if isinstance(item, MaxLen):
        return f"of length ≤ {item.max_length}"
    return ""
