"""Configs read from YAML files and `--set` options, and written as YAML."""

import re
from pathlib import Path as FilePath
from typing import Any

import yaml

from trimtab.boundary import printable, read_regular, shortened
from trimtab.config.yaml_core import DEEPEST, NAMES, Lines, Path, dotted, read_yaml, resolve_plain
from trimtab.errors import ConfigError

__all__ = ["DEEPEST", "NAMES", "Lines", "Path", "dotted", "dump_yaml", "load_yaml", "parse_value"]

_MOST_BYTES = 1 << 20


def parse_value(text: str, source: str = "--set") -> Any:
    """The value of a `--set key=value` option, read as YAML.

    Raises `ConfigError`, which begins with `source`, also for an empty value: `null` must be written.
    """
    document = read_yaml(text, f"{source}: '{printable(shortened(text, 80))}'", numbered=False)
    if document is None:
        raise ConfigError(f"{source}: there is no value. Give one, or write null for none and '' for an empty text.")
    return document[0]


def load_yaml(path: FilePath) -> tuple[dict[str, Any], Lines]:
    """A YAML file's mapping, and the line of each key path. Raises `ConfigError` with file and line."""
    try:
        text = read_regular(path, at_most=_MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The config {path} is not UTF-8 text (byte {error.start}). A config is a YAML file."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"The config {path} cannot be read: {reason}. Check the path.") from error
    data, lines = read_yaml(text, str(path)) or ({}, {})
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {NAMES[type(data)]}; a config is a mapping of keys to values.")
    return data, lines


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which YAML 1.2 would read as a number, such as `08` or `0o17`.

    Text with line ends is in double quotes, where they are escapes: no line of it looks like a key.
    """


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    plain = re.fullmatch(r"[-+.\w]{1,1000}", text) is None or isinstance(_resolved(text), str)
    style = '"' if "\n" in text else None if plain else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _resolved(text: str) -> Any:
    try:
        return resolve_plain(text)
    except ValueError:
        return None


_Dumper.add_representer(str, _text)


def dump_yaml(value: Any, **options: Any) -> str:
    """A plain value as YAML that `load_yaml` reads back as the same; `options` are those of `yaml.dump`."""
    text: str = yaml.dump(value, Dumper=_Dumper, **{"sort_keys": False, "allow_unicode": True, **options})
    return text
