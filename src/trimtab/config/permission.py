"""What a config from a folder of records may name: no code and nothing to fetch, unless the user allows it.

A dotted path is code, and a hub id is a request to the network. One on the command line or in the user's own config file is
the user's wish; one in a manifest may be a stranger's. So every config that is read from records is checked before any of its
components is imported.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import printable, shortened
from trimtab.config.model_paths import HUB, as_hub_id
from trimtab.errors import RunError

_RECORDS = ("manifest.json", "experiment.json")
"""Files that mark the folder of a run or of an experiment."""


@dataclass(frozen=True)
class Permission:
    """The dotted paths and hub ids that records may name: `names`, or with `every` all."""

    names: frozenset[str] = frozenset()
    every: bool = False

    def allows(self, name: str) -> bool:
        """Whether records may name this dotted path or hub id."""
        return self.every or name in self.names


_Key = tuple["_Key", str] | None
"""The key that holds a value, from the last part to the first."""

_permission: ContextVar[Permission] = ContextVar("_permission", default=Permission())  # noqa: B039 - frozen


def permission() -> Permission:
    """What is allowed here."""
    return _permission.get()


@contextmanager
def allowing_code(every: bool = False, *, names: Iterable[str] = ()) -> Iterator[None]:
    """Allow records to name these dotted paths and hub ids (or `every` one) within the block, besides those allowed already."""
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
    for key, names, value in _values(config):
        if names and isinstance(value, str) and ":" in value:
            found.setdefault(value, _written(key))
    return found


def hub_ids(config: Any) -> dict[str, str]:
    """Every id on the Hugging Face hub that a config lets be fetched (`allow_hub`), with the key that holds it.

    An id of a model begins with `hub:`, as in a resolved config; one of a data set is bare.
    """
    found: dict[str, str] = {}
    for key, _, value in _values(config):
        if isinstance(value, Mapping) and value.get("allow_hub") is True:
            path, dataset = value.get("path"), value.get("dataset")
            if isinstance(path, str) and (hub_id := as_hub_id(path)) is not None:
                found.setdefault(hub_id, _written((key, ".path")))
            elif path is None and isinstance(dataset, str):
                found.setdefault(dataset, _written((key, ".dataset")))
    return found


def _values(config: Any) -> Iterator[tuple["_Key", bool, Any]]:
    """Every value below a config with its key, and whether that key names a component."""
    seen: set[tuple[int, bool]] = set()
    # No recursion: a stranger's config may be nested deeply, or hold one list many times.
    waiting: list[tuple[_Key, bool, Any]] = [(None, False, config)]
    while waiting:
        key, names, value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if (id(value), names) in seen:
                continue
            seen.add((id(value), names))
            if isinstance(value, Mapping):
                waiting += [((key, f".{part}"), _is_name(part), item) for part, item in value.items()]
            else:
                waiting += [((key, f"[{index}]"), names, item) for index, item in enumerate(value)]
        yield key, names, value


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
    if refused := _refused(dotted_paths(config)):
        raise RunError(
            f"{source} names code to execute: {refused}. Records can come from somebody else, so Trimtab imports nothing that "
            "they name unless you allow it. If you know this code, repeat the command with --allow-code (in Python: "
            "allow_code=True)."
        )


def refuse_fetching(config: Any, source: str, is_here: Callable[[str], bool]) -> None:
    """Raise `RunError` where the config that `source` holds lets something be fetched that is not allowed.

    `is_here` says whether the model of a hub id needs no fetching.
    """
    wanted = {name: key for name, key in hub_ids(config).items() if not (name.startswith(HUB) and is_here(name))}
    if refused := _refused(wanted):
        raise RunError(
            f"{source} names what is fetched from the Hugging Face hub: {refused}. Records can come from somebody else, so "
            "Trimtab fetches nothing that they name unless you allow it. If you want it, repeat the command with --allow-code "
            "(in Python: allow_code=True)."
        )


def _refused(names: Mapping[str, str]) -> str:
    """The names that are not allowed, with their keys, as a short list; empty where all are."""
    refused = [
        f"'{shortened(printable(name), 100)}' ({shortened(printable(key), 100)})"
        for name, key in names.items()
        if not permission().allows(name)
    ]
    more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
    return ", ".join(refused[:5]) + more


def refuse_recorded_code(config: Any, path: Path) -> None:
    """As `refuse_code`, for a config file that lies in a folder of records; any other file is the user's own."""
    folder = path.resolve().parent
    if any((folder / name).exists() for name in _RECORDS):
        refuse_code(config, str(path))
