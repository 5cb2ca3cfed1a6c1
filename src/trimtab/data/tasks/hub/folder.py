"""The folder that a data set comes in, checked before any library reads it: its files, its links and what its card names."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from trimtab.boundary import (
    StrictJsonError,
    foreign,
    is_plain_name,
    kind_of,
    leads_outside,
    printable,
    read_regular,
    shortened,
    strict_json,
)
from trimtab.data.files import shown
from trimtab.errors import DataError

CARDS = ("README.md", ".huggingface.yaml")
"""The files in which a data folder says which of its files are which split."""

_CARD_LIMIT = 16 << 20
_HEAD = re.compile(r"\s*---(?:\r\n|\r|\n)([\S\s]*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$)")
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MOST_VALUES = 1_000_000


def check_folder(folder: Path) -> None:
    """Raise DataError for a link out of a data folder, for anything in it that is no file or folder and for a bad card."""
    if "::" in os.path.realpath(folder):
        raise DataError(
            f"The path of {shown(folder)} has :: in it, which chains URLs in the paths of a data set. Rename the "
            "folder, and set `data.task.path` to its new name."
        )

    def fail(error: OSError) -> None:
        raise error

    try:
        for top, folders, names in os.walk(folder, onerror=fail):
            for path in (Path(top, name) for name in [*folders, *names]):
                if "::" in path.name:
                    raise DataError(
                        f"{shown(path)} has :: in its name, which chains URLs in the paths of a data set. Rename it."
                    )
                if path.is_symlink() and leads_outside(path, folder):
                    raise DataError(
                        f"{shown(path)} is a link to a place outside the data folder, which is not read. Copy the folder with "
                        f"its contents (cp -rL {shown(folder)} NEW) and name the copy in `data.task.path`."
                    )
                if not path.is_file() and not path.is_dir():
                    raise DataError(
                        f"{shown(path)} is neither a regular file nor a folder. Take it out of the data folder."
                    )
    except OSError as error:
        raise DataError(
            f"{shown(folder)} cannot be read ({error.strerror}). Check `data.task.path` and your permission to read it."
        ) from error
    _check_card(folder)


def settings_file(folder: Path) -> Path:
    """The file that the settings of a data folder are read from: the last of `CARDS` that is there."""
    return next((folder / name for name in reversed(CARDS) if (folder / name).is_file()), folder / CARDS[0])


def saved_split(folder: Path, split: str) -> Path | None:
    """The folder that `save_to_disk` wrote for a split, or None where the data set is not in that form."""
    if (folder / "dataset_dict.json").is_file():
        splits = _described(folder / "dataset_dict.json", "splits")
        if split not in splits or not is_plain_name(split):
            raise DataError(f"The data set {folder} has no split {split!r}; it has {', '.join(map(str, splits))}.")
        folder = folder / split
    if not (folder / "state.json").is_file():
        return None
    for entry in _described(folder / "state.json", "_data_files"):
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not is_plain_name(name):
            raise DataError(
                f"{folder / 'state.json'} names {name!r}, which is no file of its own folder. Save the data set anew."
            )
    return folder


def _described(file: Path, key: str) -> list[Any]:
    """The list under a key of a JSON file that `save_to_disk` wrote."""
    try:
        content = strict_json(read_regular(file))
    except (OSError, StrictJsonError) as error:
        raise DataError(f"{file} cannot be read: {error}. Save the data set anew.") from error
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise DataError(f"{file} has no list under {key!r}. Save the data set anew.")
    return list(content[key])


def _check_card(folder: Path) -> None:
    """Raise DataError where the card of a data folder names data that is not inside the folder.

    The `datasets` library resolves what `configs` says under `data_files` and `data_dir`, URLs included, before it returns
    anything; so this reads the card without it.
    """
    for name in CARDS:
        file = folder / name
        if not file.is_file():
            continue
        configs = _head(file).get("configs")
        if not configs:
            continue
        if not isinstance(configs, list):
            raise _bad_card(file, f"`configs` is {kind_of(configs)} where a list is needed")
        for config in configs:
            if not isinstance(config, dict) or not isinstance(config.get("config_name"), str):
                raise _bad_card(file, "an entry of `configs` is no mapping with text under `config_name`")
            if not isinstance(config.get("data_dir"), str | None):
                raise _bad_card(file, f"`data_dir` is {kind_of(config['data_dir'])} where text is needed")
            for key in ("data_dir", "data_files"):
                for path in _paths_in(config[key], file, key) if key in config else ():
                    if _leaves_folder(path):
                        raise DataError(
                            f"{shown(file)} names the data {shortened(printable(path), 100)!r} under `{key}`, which is outside "
                            "the folder. A data folder is read without the network and holds all its files: copy them into it, "
                            "and name them relative to it."
                        )


def _leaves_folder(path: str) -> bool:
    """Whether a path or pattern of a data folder's card is a URL, absolute, in a home folder, or goes up with `..`."""
    return (
        "::" in path
        or _PROTOCOL.match(path) is not None
        or path.startswith(("/", "~", "\\"))
        or ".." in re.split(r"[/\\]", path)
    )


def _head(file: Path) -> dict[str, Any]:
    """The mapping of YAML in a card, by the same safe reader as the `datasets` library uses, and of bounded size."""
    try:
        text = read_regular(file, at_most=_CARD_LIMIT).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise _bad_card(file, f"it cannot be read: {reason}") from error
    if file.suffix == ".md":
        match = _HEAD.match(text)
        text = match[1] if match else ""
    with foreign(DataError, lambda reason: str(_bad_card(file, f"it is not valid YAML: {reason}"))):
        head = yaml.safe_load(text)
    if not isinstance(head, dict | None):
        raise _bad_card(file, f"its YAML is {kind_of(head)} where a mapping is needed")
    waiting: list[Any] = [head]
    count = 0
    while waiting:
        part = waiting.pop()
        count += 1
        # A short text with aliases of aliases can stand for more values than memory holds.
        if count + len(waiting) > _MOST_VALUES:
            raise _bad_card(file, f"it holds over {_MOST_VALUES:,} values")
        if isinstance(part, dict | list):
            waiting.extend(part.values() if isinstance(part, dict) else part)
    return head or {}


def _paths_in(value: Any, file: Path, key: str) -> Iterator[str]:
    """All text in a value of `data_files` or `data_dir`: paths and patterns, in lists or mappings, and names of splits."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths_in(item, file, key)
    elif value is not None or key == "data_files":
        raise _bad_card(file, f"`{key}` holds {kind_of(value)} where text is needed")


def _bad_card(file: Path, reason: str) -> DataError:
    return DataError(f"{shown(file)}: {reason}. Mend it, or take it out of the data folder.")
