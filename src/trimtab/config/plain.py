"""Converting a mapping to plain config values: JSON types only, with limits on size and depth."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from trimtab.boundary import shortened
from trimtab.config.wording import Source
from trimtab.config.yaml_file import DEEPEST, NAMES, Path
from trimtab.errors import ConfigError

_LARGEST = 2**63 - 1


def plain_values(value: Any, where: Source, path: Path = ()) -> Any:
    """A copy made of mappings, lists, text and numbers.

    Raises `ConfigError`, which names the key, for anything else: keys that are not text, text that is not Unicode, numbers
    that are not finite, whole numbers beyond 64 bits, and values nested too deeply.
    """
    if len(path) > DEEPEST:
        raise ConfigError(
            f"{where.at(path[:1])}values are nested over {DEEPEST} levels deep here. No config needs that many."
        )
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {_key(key, where, path): plain_values(item, where, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item, where, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, str):
        return _text(value, where, path)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where.at(path)}{value} is not a finite number. Give a finite one.")
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise ConfigError(
            f"{where.at(path)}the whole number is beyond ±(2^63 - 1). Give a smaller one or, if the key takes "
            "numbers that are not whole, write it with an exponent (1e20)."
        )
    if value is None or isinstance(value, int | float | bool):
        return value
    raise ConfigError(
        f"{where.at(path)}a {type(value).__name__} ({shortened(str(value), 80)}) cannot be a value in a config. Quote it as text."
    )


def _key(key: Any, where: Source, path: Path) -> str:
    if not isinstance(key, str):
        kind = NAMES.get(type(key), f"a {type(key).__name__}")
        raise ConfigError(f"{where.at(path)}the key {shortened(repr(key), 80)} is {kind}; keys are text. Quote it.")
    return _text(key, where, path)


def _text(text: str, where: Source, path: Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{where.at(path)}{shortened(ascii(text), 80)} is not valid Unicode (a lone surrogate at character {error.start}). "
            "Write it in UTF-8."
        ) from error
    return text
