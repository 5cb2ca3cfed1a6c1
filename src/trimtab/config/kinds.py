"""What a YAML describes, told by its keys, so that one given to the wrong command is sent to the right one."""

from collections.abc import Mapping
from typing import Any, Literal

from trimtab.config.errors import ConfigError

Kind = Literal["experiment", "memory run", "training run"]

_TELLING: dict[Kind, tuple[str, str, frozenset[str]]] = {
    "experiment": ("an experiment", "trimtab run", frozenset({"arms", "claim"})),
    "memory run": ("a memory run", "trimtab memory run", frozenset({"pairs", "vectors", "solve"})),
    "training run": ("a training run", "trimtab train", frozenset({"data", "episode"})),
}
"""In words, its command, and keys that none of those below it has; an experiment has the others' keys too."""


def refuse_other_kinds(data: Mapping[str, Any], source: str, kind: Kind) -> None:
    """Raise `ConfigError` where the keys say that a config of `kind` is of another one."""
    for found, (words, command, keys) in _TELLING.items():
        if not keys.isdisjoint(data):
            if found != kind:
                raise ConfigError(
                    f"{source} describes {words}, and {_TELLING[kind][0]} is asked for. It belongs to `{command}`."
                )
            return
