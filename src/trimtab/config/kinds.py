"""What a YAML describes, told by its keys, so that one given to the wrong command is sent to the right one."""

from collections.abc import Mapping
from typing import Any, Literal

from trimtab.errors import ConfigError

Kind = Literal["an experiment", "a memory run", "a training run"]

_TELLING: dict[Kind, tuple[str, frozenset[str]]] = {
    "an experiment": ("trimtab run", frozenset({"arms", "claim"})),
    "a memory run": ("trimtab memory run", frozenset({"pairs", "vectors", "solve"})),
    "a training run": ("trimtab train", frozenset({"data", "episode"})),
}
"""Its command, and keys that none of those below it has; an experiment has the others' keys too."""


def refuse_other_kinds(data: Mapping[str, Any], source: str, kind: Kind) -> None:
    """Raise `ConfigError` where the keys say that a config of `kind` is of another one."""
    for found, (command, keys) in _TELLING.items():
        if not keys.isdisjoint(data):
            if found != kind:
                raise ConfigError(f"{source} describes {found}, and {kind} is asked for. It belongs to `{command}`.")
            return
