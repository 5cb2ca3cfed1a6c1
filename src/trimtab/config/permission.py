"""Which dotted paths a config from a folder of records may name: none, unless the user allows it.

A dotted path is code. One on the command line or in the user's own config file is the user's wish; one in a manifest may be a
stranger's. So every config that is read from records is checked before any of its components is imported.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import printable, shortened
from trimtab.errors import RunError

_RECORDS = ("manifest.json", "experiment.json")
"""Files that mark the folder of a run or of an experiment."""


@dataclass(frozen=True)
class Permission:
    """The dotted paths that records may name: `names`, or with `every` all."""

    names: frozenset[str] = frozenset()
    every: bool = False

    def allows(self, name: str) -> bool:
        """Whether records may name this dotted path."""
        return self.every or name in self.names


_Key = tuple["_Key", str] | None
"""The key that holds a value, from the last part to the first."""

_permission: ContextVar[Permission] = ContextVar("_permission", default=Permission())  # noqa: B039 - frozen


def permission() -> Permission:
    """What is allowed here."""
    return _permission.get()


@contextmanager
def allowing_code(every: bool = False, *, names: Iterable[str] = ()) -> Iterator[None]:
    """Allow records to name these dotted paths (or `every` one) within the block, besides those that are allowed already."""
    before = _permission.get()
    token = _permission.set(Permission(before.names.union(names), before.every or every))
    try:
        yield
    finally:
        _permission.reset(token)


def dotted_paths(config: Any) -> dict[str, str]:
    """Every dotted path that a config, resolved or not, names a component by, with the key that holds it.

    Overrides by dotted key (`episode.loss.name: "my:Loss"`) and lists of values for such a key are among them.
    """
    found: dict[str, str] = {}
    seen: set[tuple[int, bool]] = set()
    # No recursion: a stranger's config may be nested deeply, or hold one list many times.
    waiting: list[tuple[_Key, bool, Any]] = [(None, False, config)]
    while waiting:
        key, names, value = waiting.pop()
        if isinstance(value, str):
            if names and ":" in value:
                found.setdefault(value, _written(key))
        elif isinstance(value, Mapping | list | tuple) and (id(value), names) not in seen:
            seen.add((id(value), names))
            if isinstance(value, Mapping):
                waiting += [((key, f".{part}"), _is_name(part), item) for part, item in value.items()]
            else:
                waiting += [((key, f"[{index}]"), names, item) for index, item in enumerate(value)]
    return found


def _written(key: "_Key") -> str:
    parts: list[str] = []
    while key is not None:
        key, part = key
        parts.append(part)
    return "".join(reversed(parts)).removeprefix(".")


def _is_name(key: object) -> bool:
    return str(key).rpartition(".")[2] == "name"


def refuse_code(config: Any, source: str) -> None:
    """Raise `RunError` where the config that `source` holds names code that is not allowed; nothing is imported."""
    refused = [
        f"'{shortened(printable(name), 100)}' ({shortened(printable(key), 100)})"
        for name, key in dotted_paths(config).items()
        if not permission().allows(name)
    ]
    if refused:
        more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise RunError(
            f"{source} names code to execute: {', '.join(refused[:5])}{more}. Records can come from somebody else, so Trimtab "
            "imports nothing that they name unless you allow it. If you know this code, repeat the command with --allow-code "
            "(in Python: allow_code=True)."
        )


def refuse_recorded_code(config: Any, path: Path) -> None:
    """As `refuse_code`, for a config file that lies in a folder of records; any other file is the user's own."""
    folder = path.resolve().parent
    if any((folder / name).exists() for name in _RECORDS):
        refuse_code(config, str(path))
