"""YAML with the line of every key, no repeated keys, and numbers such as 3e-4 read as numbers."""

import re
from pathlib import Path as FilePath
from typing import Any

import yaml

from trimtab.errors import ConfigError

Path = tuple[str | int, ...]
"""Where a value stands in a config: keys, and places in lists."""

Lines = dict[Path, int]
"""The line of the file on which each key stands."""


class _Loader(yaml.SafeLoader):
    """SafeLoader (YAML 1.1) that reads `3e-4` as a float, as YAML 1.2 does."""


_Loader.yaml_implicit_resolvers = {key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"), list("-+0123456789.")
)


def parse_value(text: str) -> Any:
    """The value of a `--set key=value` option, read as YAML. Raises `ConfigError`."""
    try:
        return _parsed(text, f"--set: '{text}'")[0]
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"--set: '{text}' is not a YAML value: {_where(error)}. Quote it, or write a plain value."
        ) from error


def load_yaml(path: FilePath) -> tuple[dict[str, Any], Lines]:
    """A YAML file's mapping, and the line of each key path. Raises `ConfigError` with file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"The config {path} cannot be read: {error.strerror}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The config {path} is not UTF-8 text (byte {error.start}). A config is a YAML file."
        ) from error
    try:
        data, lines = _parsed(text, str(path))
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not valid YAML: {_where(error)}. Mend that line.") from error
    if data is None:
        return {}, {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds a {type(data).__name__}; a config is a mapping of keys to values.")
    return data, lines


def dotted(path: Path) -> str:
    """A key path as people write it: `episode.optimizer.lr`, `hooks[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _parsed(text: str, name: str) -> tuple[Any, Lines]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines: Lines = {}
        _collect(node, (), lines, name, frozenset())
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _collect(node: yaml.Node, path: Path, lines: Lines, name: str, above: frozenset[int]) -> None:
    """Note the line of every key below `node`; refuse repeated keys, and anchors that hold themselves (`above`)."""
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in above:
        raise ConfigError(f"{name}, line {node.start_mark.line + 1}: '{dotted(path)}' contains itself. Write it out.")
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            here = (*path, str(key.value))
            if str(key.value) in seen:
                raise ConfigError(
                    f"{name}, line {line}: the key '{dotted(here)}' stands twice (first on line {seen[str(key.value)]}). "
                    "Keep one of them."
                )
            seen[str(key.value)] = lines[here] = line
            _collect(value, here, lines, name, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*path, index), lines, name, above)


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else problem
