"""The YAML that configs are written in: the core schema of YAML 1.2, of bounded size, without tags or repeated keys.

Plain values mean what https://yaml.org/spec/1.2.2/#103-core-schema says: `017` is 17, `0o17` is 15, `yes`, `1:30`, `1_000` and
`2020-01-01` are text. Merge keys (`<<`) are the one addition. An empty value is refused where `null` may be meant.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from trimtab.boundary import foreign, printable, shortened
from trimtab.errors import ConfigError

Path = tuple[str | int, ...]
"""A place in a config: keys, and indices of lists."""

Lines = dict[Path, int]
"""The line of the file on which each key is written."""

DEEPEST = 50
"""Levels of mappings and lists within each other."""

MOST_VALUES = 100_000
"""Values of one document, those that aliases repeat included."""

_NULL = re.compile(r"null|Null|NULL|~")
_BOOL = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 1000

NAMES: Mapping[type, str] = {
    str: "text",
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}
"""The kinds of values in words."""


def dotted(path: Path) -> str:
    """A key path as people write it: `episode.optimizer.lr`, `hooks[0].name`; long keys and paths are shortened."""
    text = ""
    for part in path:
        name = f"[{part}]" if isinstance(part, int) else printable(shortened(part, 80))
        text += f".{name}" if text and not isinstance(part, int) else name
    return shortened(text, 300)


def read_yaml(text: str, name: str, *, numbered: bool = True) -> tuple[Any, Lines] | None:
    """The value of a YAML document and the line of each key path; None for a document without any value.

    Raises `ConfigError`, which begins with `name` and, where `numbered`, the line.
    """
    return _Composer(text, name, numbered).document()


def resolve_plain(text: str) -> Any:
    """The value of a plain scalar. Raises `ValueError` for a number that no float or sensible whole number holds."""
    if _NULL.fullmatch(text):
        return None
    if match := _BOOL.fullmatch(text):
        return match[1] is not None
    if match := _INFINITE.fullmatch(text):
        return float(match[1] + "inf")
    if _NAN.fullmatch(text):
        return float("nan")
    number = next((kind for kind in (_INT, _OCTAL, _HEX, _FLOAT) if kind.fullmatch(text)), None)
    if number is None:
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} characters is too long")
    if number is not _FLOAT:
        return int(text, {_INT: 10, _OCTAL: 8, _HEX: 16}[number])
    value = float(text)
    if value in (float("inf"), float("-inf")) or (not value and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise ValueError(f"{shortened(text, 60)} is too {'large' if value else 'small'} for a number")
    return value


class _Events(Reader, Scanner, Parser):
    """PyYAML's parser without its composer, which recurses, and its constructors, which guess types."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


class _Composer:
    """Values made from the parser's events; every value is counted, also those that an alias repeats."""

    def __init__(self, text: str, name: str, numbered: bool) -> None:
        self._name, self._numbered = name, numbered
        self._lines: Lines = {}
        self._anchors: dict[str, Any] = {}
        self._open: set[str] = set()
        self._count = 0
        with foreign(ConfigError, lambda reason: f"{name} is not valid YAML: {reason}. Correct it."):
            try:
                self._events = _Events(text)
            except yaml.YAMLError as error:
                raise ConfigError(self._invalid(error)) from error

    def document(self) -> tuple[Any, Lines] | None:
        """The one document of the text."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        first = self._next()
        empty = _is_empty(first)
        value = None if empty else self._value(first, ())
        self._next()
        if not isinstance(further := self._next(), yaml.StreamEndEvent):
            raise ConfigError(f"{self._at((), further)}a second document begins here; a config is one. Leave one out.")
        return None if empty else (value, self._lines)

    def _next(self) -> Any:
        with foreign(ConfigError, lambda reason: f"{self._name} is not valid YAML: {reason}. Correct it."):
            try:
                event = self._events.get_event()  # type: ignore[no-untyped-call]
            except yaml.YAMLError as error:
                raise ConfigError(self._invalid(error)) from error
        if isinstance(event, yaml.DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise ConfigError(f"{self._at((), event)}it asks for YAML {event.version[0]}.{event.version[1]}, and configs are "
                              "YAML 1.2. Leave out that line.")  # fmt: skip
        if getattr(event, "tag", None) is not None:
            raise ConfigError(
                f"{self._at((), event)}a tag ({shortened(event.tag, 60)}) has no meaning in a config. Leave it out, and quote a "
                "value that should be text."
            )
        return event

    def _invalid(self, error: yaml.YAMLError) -> str:
        problem = " ".join((getattr(error, "problem", None) or str(error)).split())
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        advice = "Correct that line." if self._numbered else "Quote it, or write a plain value."
        return f"{self._name} is not valid YAML: {shortened(problem, 300)}{where}. {advice}"

    def _at(self, path: Path, event: Any) -> str:
        line = f", line {event.start_mark.line + 1}" if self._numbered else ""
        return f"{self._name}{line}: " + (f"{dotted(path)}: " if path else "")

    def _counted(self, path: Path, event: Any) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise ConfigError(f"{self._at(path, event)}there are over {MOST_VALUES:,} values here, those that aliases repeat "
                              "included. A config has fewer; data belongs in a file of its own.")  # fmt: skip
        if len(path) > DEEPEST:
            raise ConfigError(
                f"{self._at((), event)}values are nested over {DEEPEST} levels deep here. No config needs that many."
            )

    def _value(self, event: Any, path: Path) -> Any:
        self._lines.setdefault(path, event.start_mark.line + 1)
        self._counted(path, event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                raise ConfigError(f"{self._at(path, event)}*{event.anchor} contains itself. Write it out.")
            if event.anchor not in self._anchors:
                raise ConfigError(f"{self._at(path, event)}there is no &{event.anchor} above this *{event.anchor}.")
            return self._copied(self._anchors[event.anchor], path, event)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                value.append(self._value(item, (*path, len(value))))
        else:
            value = self._mapping(path)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = value
        return value

    def _scalar(self, event: Any, path: Path) -> Any:
        if event.style is not None:
            return event.value
        if _is_empty(event):
            raise ConfigError(
                f"{self._at(path, event)}there is no value here. Give one, or write null for none and '' for an empty text."
            )
        try:
            return resolve_plain(event.value)
        except ValueError as error:
            raise ConfigError(f"{self._at(path, event)}{error}. Give another, or quote it as text.") from error

    def _mapping(self, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, line = self._key(event, path), event.start_mark.line + 1
            here = (*path, key)
            if key in seen:
                first = f" (first on line {seen[key]})" if self._numbered else ""
                raise ConfigError(
                    f"{self._at((), event)}the key '{dotted(here)}' is written twice{first}. Keep one of them."
                )
            seen[key] = line
            self._lines.setdefault(here, line)
            if key == "<<" and event.style is None:
                merged = self._merged(self._value(self._next(), here), event, path)
            else:
                own[key] = self._value(self._next(), here)
        return merged | own

    def _key(self, event: Any, path: Path) -> str:
        key = self._scalar(event, path) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            scalar = isinstance(event, yaml.ScalarEvent)
            problem = f"the key {shortened(event.value, 60)} is {NAMES[type(key)]}" if scalar else "a key is not text"
            raise ConfigError(f"{self._at(path, event)}{problem}; keys are text. Quote it.")
        return key

    def _merged(self, value: Any, event: Any, path: Path) -> dict[str, Any]:
        """What `<<` adds to a mapping: of several mappings the first that has a key decides it."""
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise ConfigError(f"{self._at(path, event)}<< takes a mapping or a list of mappings, such as *anchor.")
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            merged |= source
        for key in merged:
            self._lines.setdefault((*path, key), event.start_mark.line + 1)
        return merged

    def _copied(self, value: Any, path: Path, event: Any) -> Any:
        """What an alias repeats, as a copy: changing one of them changes no other."""
        self._counted(path, event)
        if isinstance(value, dict):
            return {key: self._copied(item, (*path, key), event) for key, item in value.items()}
        if isinstance(value, list):
            return [self._copied(item, (*path, index), event) for index, item in enumerate(value)]
        return value


def _is_empty(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.style is None and not event.value
