"""A config from a folder of records may name no code and nothing to fetch, unless the user allows it.

A dotted path is code, and a hub id is a request to the network. On the command line or in the user's own config file, the user
wrote it; in a manifest, somebody else may have. So every config that is read from records, and every config file in a folder of
records or below one, is checked before any of its components is imported.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import folders_above, listed, printable, shortened
from trimtab.config.model_paths import HUB, as_hub_id
from trimtab.errors import RunError

_RECORDS = (
    "manifest.json",
    "experiment.json",
    "summary.json",
    "verdicts.json",
    "steps.jsonl",
    "events.jsonl",
    "evaluations.jsonl",
)
"""Files that mark the folder of a run or of an experiment. Any one is sufficient: a folder may arrive without
the others."""


@dataclass(frozen=True)
class Permission:
    """The dotted paths and hub ids that records may name: those in `names`; all of them if `every` is true."""

    names: frozenset[str] = frozenset()
    every: bool = False

    def allows(self, name: str) -> bool:
        """Whether records may name this dotted path or hub id."""
        return self.every or name in self.names


_Key = tuple["_Key", str] | None
"""A dotted key as a linked list: the key of the parent, then the last part. None is the root."""

_permission: ContextVar[Permission] = ContextVar("_permission", default=Permission())  # noqa: B039 - frozen


def permission() -> Permission:
    """The permission of the current context."""
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
    """Every dotted path by which a config, resolved or not, names a component, with the key that holds it.

    Paths in overrides by dotted key (`episode.loss.name: "my:Loss"`) and in lists of values for such a key are included.
    """
    paths: dict[str, str] = {}
    for key, names, value in _values(config, "name"):
        if names and isinstance(value, str) and ":" in value:
            paths.setdefault(value, _written(key))
    return paths


def hub_ids(config: Any) -> dict[str, str]:
    """Every id on the Hugging Face hub that a config allows to be fetched (`allow_hub`), with the key that holds it.

    A model id begins with `hub:`, as in a resolved config; a data set id has no prefix.
    """
    ids: dict[str, str] = {}
    for key, _, value in _values(config, "allow_hub"):
        if isinstance(value, Mapping) and value.get("allow_hub") is True:
            path, dataset = value.get("path"), value.get("dataset")
            if isinstance(path, str) and (hub_id := as_hub_id(path)) is not None:
                ids.setdefault(hub_id, _written((key, ".path")))
            elif path is None and isinstance(dataset, str):
                ids.setdefault(dataset, _written((key, ".dataset")))
    return ids


def _values(config: Any, last: str) -> Iterator[tuple["_Key", bool, Any]]:
    """Every value below a config with its key, and whether `last` is the last part of that key.

    The items of a list count under the key of the list.
    """
    seen: set[tuple[int, bool]] = set()
    # No recursion: the config may be nested deeply, or hold one list many times.
    waiting: list[tuple[_Key, bool, Any]] = [(None, False, config)]
    while waiting:
        key, ends, value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if (id(value), ends) in seen:
                continue
            seen.add((id(value), ends))
            if isinstance(value, Mapping):
                waiting += [((key, f".{part}"), _last(part) == last, item) for part, item in value.items()]
            else:
                waiting += [((key, f"[{index}]"), ends, item) for index, item in enumerate(value)]
        yield key, ends, value


def _written(key: "_Key") -> str:
    parts: list[str] = []
    while key is not None:
        key, part = key
        parts.append(part)
    return "".join(reversed(parts)).removeprefix(".")


def _last(key: object) -> str:
    return str(key).rpartition(".")[2]


def refuse_code(config: Any, source: str) -> None:
    """Raise `RunError` where a config names code that is not allowed; nothing is imported.

    `source` is the subject of the message, such as the path of the file with the config.
    """
    if refused := _refused(dotted_paths(config)):
        raise RunError(
            f"{source} names code to execute: {refused}. Records may come from somebody else, so Trimtab imports nothing that "
            "they name unless you allow it. If you know this code, repeat the command with --allow-code (in Python: "
            "allow_code=True)."
        )


def refuse_fetching(config: Any, source: str, is_here: Callable[[str], bool]) -> None:
    """Raise `RunError` where a config allows something to be fetched that is not allowed here.

    `source` is the subject of the message, such as the path of the file with the config. `is_here` says
    whether the model of a hub id needs no fetching.
    """
    wanted = {name: key for name, key in hub_ids(config).items() if not (name.startswith(HUB) and is_here(name))}
    if refused := _refused(wanted):
        raise RunError(
            f"{source} names models or data to fetch from the Hugging Face hub: {refused}. Records may come from somebody else, "
            "so Trimtab fetches nothing that they name unless you allow it. If you want it, repeat the command with --allow-code "
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


def record_above(path: Path) -> Path | None:
    """The file of records that marks a config file as part of a run or an experiment; None for a file of the user's own.

    It lies in the folder of the file or in any folder above it. Where the way to the file leads through symbolic links, the
    folders above each link and above its target count too.
    """
    files = (folder / name for folder in folders_above(path) for name in _RECORDS)
    return next((file for file in files if os.path.lexists(file)), None)


def refuse_recorded_code(config: Any, path: Path) -> None:
    """Raise `RunError` where a config file that belongs to records (`record_above`) names code or allows the hub.

    Any other config file is the user's own. `allow_hub` is refused even if the model is cached, because which id an
    arm of an experiment fetches is known only when the arm is resolved.
    """
    if (record := record_above(path)) is None:
        return
    source = f"{printable(path)} belongs to the records of {printable(record)} and"
    refuse_code(config, source)
    keys = _hub_switches(config)
    if keys and not permission().every:
        raise RunError(
            f"{source} allows models or data to be fetched from the Hugging Face hub ({listed(keys, 5)}). Records may come "
            "from somebody else, so Trimtab fetches nothing for them unless you allow it. If you want it, repeat the command "
            "with --allow-code (in Python: allow_code=True)."
        )


def needs_permission(config: Any) -> bool:
    """Whether `refuse_recorded_code` refuses this config in a folder of records."""
    return bool(dotted_paths(config) or _hub_switches(config))


def _hub_switches(config: Any) -> list[str]:
    """The keys that set `allow_hub` to true."""
    return [_written(key) for key, ends, value in _values(config, "allow_hub") if ends and value is True]
