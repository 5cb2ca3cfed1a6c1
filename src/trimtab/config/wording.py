"""Error messages about configs, one paragraph each: the file, the line, the key, the bad value and what to do."""

import difflib
import json
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trimtab.boundary import shortened
from trimtab.config.schema import Component
from trimtab.config.yaml_file import NAMES, Lines, Path, dotted

_WORDS = {
    "a valid array": "a list",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
}
"""The words of pydantic for a type, and those of our documentation."""


@dataclass
class Source:
    """Where a config came from: a file with the lines of its keys, and the keys that `--set` has overridden."""

    name: str
    lines: Lines = field(default_factory=dict)
    overridden: set[Path] = field(default_factory=set)

    def override(self, path: Path) -> None:
        """Note that `path` and all below it came from `--set`, so that errors about them do not name lines of the file."""
        self.overridden.add(path)
        self.lines = {known: line for known, line in self.lines.items() if known[: len(path)] != path}

    def at(self, path: Path) -> str:
        """The beginning of an error about a key: `run.yaml, line 3: episode.steps: `."""
        key = f"{dotted(path)}: " if path else ""
        for known in (path[:length] for length in range(len(path), 0, -1)):
            if known in self.overridden:
                return f"--set: {key}"
            if known in self.lines:
                return f"{self.name}, line {self.lines[known]}: {key}"
        return f"{self.name}: {key}"


def worded(
    error: ValidationError,
    model: type[BaseModel],
    where: Source,
    prefix: Path = (),
    schema_keys: Sequence[str] = (),
    keys_named: Callable[[str], Sequence[str]] = lambda name: (),
) -> str:
    """One paragraph for the first problem (an unknown key before any other), and how many more there are.

    `prefix` is the place of the validated mapping in the config; `schema_keys` are keys known there that `model` lacks.
    `keys_named` gives the dotted keys elsewhere in the config whose last part is the name of an unknown key.
    """
    problems: dict[Path, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        problems.setdefault(_place(model, details["loc"])[0], []).append(details)
    # A union's members complain at different depths; the deepest is the one that was meant.
    problems = {
        place: details for place, details in problems.items() if not any(_within(other, place) for other in problems)
    }
    unknown = (place for place, details in problems.items() if details[0]["type"] == "extra_forbidden")
    first = next(unknown, next(iter(problems)))
    others = len(problems) - 1
    more = f" ({others} more such problem{'s' if others > 1 else ''} after this one.)" if others else ""
    return where.at((*prefix, *first)) + _sentence(problems[first], model, first, schema_keys, keys_named) + more


def _within(place: Path, above: Path) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The hint `Did you mean …?`, with the space before it, if something near is known; else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def _sentence(
    problem: list[ErrorDetails],
    model: type[BaseModel],
    place: Path,
    schema_keys: Sequence[str],
    keys_named: Callable[[str], Sequence[str]],
) -> str:
    kind, value = problem[0]["type"], problem[0]["input"]
    if kind == "extra_forbidden":
        holder = _place(model, problem[0]["loc"])[1]
        own = schema_keys if len(place) == 1 else ()
        known = [*own, *(holder.model_fields if holder is not None else ())]
        listing = f"Known keys: {', '.join(known)}." if known else "Nothing can be set here."
        elsewhere = " or ".join(f"'{key}'" for key in keys_named(str(place[-1])))
        hint = f" Did you mean {elsewhere}?" if elsewhere else unknown_name(str(place[-1]), known)
        return f"there is no key '{dotted(place[-1:])}' here.{hint} {listing}"
    if kind == "missing" and isinstance(place[-1], int):
        return "the list is too short: this entry is missing. Add it."
    if kind == "missing":
        return f"the key '{dotted(place[-1:])}' is missing. Add it."
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag for member in _members(_annotation(model, place)) if (tag := _tag(member)) is not None]
        name = value.get("name") if isinstance(value, dict) else None
        wrong = (
            f"there is no '{shortened(name, 80)}' here.{unknown_name(name, tags)}"
            if isinstance(name, str)
            else "the key 'name' is missing."
        )
        return f"{wrong} Known names: {', '.join(tags)}."
    if kind in ("model_type", "model_attributes_type"):
        target = _model(_annotation(model, place))
        shape = "component, written {name: NAME, key: value}" if _is_component(target) else "mapping of keys to values"
        return f"it should be a {shape}; found {shown(value)}."
    if all(details["msg"].startswith("Input should be ") for details in problem):
        wanted = " or ".join(dict.fromkeys(details["msg"].removeprefix("Input should be ") for details in problem))
        for theirs, ours in _WORDS.items():
            wanted = wanted.replace(theirs, ours)
        return f"it should be {wanted}; found {shown(value)}. Change that value."
    return f"{problem[0]['msg'].removeprefix('Value error, ')}; found {shown(value)}. Change that value."


def shown(value: Any) -> str:
    """A value as a config writes it, shortened, with its kind: `"4" (text)`."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    kind = f" ({NAMES[type(value)]})" if value is not None and type(value) in NAMES else ""
    return (text if len(text) <= 80 else text[:77] + "…") + kind


def _place(model: type[BaseModel], location: Path) -> tuple[Path, type[BaseModel] | None]:
    """A pydantic error location as a config path, and the model that has its last key.

    Pydantic puts the member of a union (`int`, `list[str]`) into the location; a config has no such key.
    """
    place: list[str | int] = []
    holder: type[BaseModel] | None = model
    annotation: Any = model
    for part in location:
        if len(members := _members(annotation)) > 1:
            if tagged := [member for member in members if _tag(member) == part]:
                annotation = tagged[0]
                continue
            annotation = next((member for member in members if _model(member) is None and get_args(member)), None)
            continue
        annotation = members[0] if members else None
        holder = _model(annotation)
        place.append(part)
        annotation = _below(annotation, part)
    return tuple(place), holder


def _annotation(model: type[BaseModel], place: Path) -> Any:
    annotation: Any = model
    for part in place:
        members = _members(annotation)
        annotation = _below(members[0], part) if members else None
    return annotation


def _below(annotation: Any, part: str | int) -> Any:
    if (inner := _model(annotation)) is not None:
        known = inner.model_fields.get(str(part))
        return known.annotation if known is not None else None
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple and Ellipsis not in arguments and isinstance(part, int):
        return arguments[part] if part < len(arguments) else None
    if get_origin(annotation) is dict and arguments:
        return arguments[1]
    return arguments[0] if arguments else None


def _members(annotation: Any) -> list[Any]:
    """The members of a union but for None, unwrapped of `Annotated`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return [
            member for argument in get_args(annotation) if argument is not type(None) for member in _members(argument)
        ]
    return [annotation] if annotation is not None else []


def _model(annotation: Any) -> type[BaseModel] | None:
    members = _members(annotation)
    inner = members[0] if len(members) == 1 else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _tag(member: Any) -> str | None:
    """The `name` by which a mapping says which member of a union it is: the default of the model's literal `name`."""
    inner = _model(member)
    tag = inner.model_fields.get("name") if inner is not None else None
    return tag.default if tag is not None and isinstance(tag.default, str) else None


def _is_component(model: type[BaseModel] | None) -> bool:
    return model is not None and issubclass(model, Component)
