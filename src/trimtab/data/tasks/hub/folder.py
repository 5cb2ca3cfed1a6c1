"""Checks the folder of a data set before any library reads it: its files, its links and the paths in its card."""

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
    json_type_name,
    leads_outside,
    path_text,
    printable,
    read_regular,
    shortened,
    strict_json,
)
from trimtab.errors import DataError

CARDS = ("README.md", ".huggingface.yaml")
"""The files in which a data folder assigns its files to splits."""

_CARD_LIMIT = 16 << 20
_HEAD = re.compile(r"\s*---(?:\r\n|\r|\n)([\S\s]*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$)")
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MOST_VALUES = 1_000_000


def check_folder(folder: Path) -> None:
    """Raises DataError for a link that leaves the folder, for special files in it, and for a bad card."""
    if "::" in os.path.realpath(folder):
        raise DataError(
            f"The path {path_text(folder)} contains ::, which the datasets library treats as a chain of URLs. Rename the "
            "folder, and set `data.task.path` to its new name."
        )

    def fail(error: OSError) -> None:
        raise error

    try:
        for top, folders, names in os.walk(folder, onerror=fail):
            for path in (Path(top, name) for name in [*folders, *names]):
                if "::" in path.name:
                    raise DataError(
                        f"The name of {path_text(path)} contains ::, which the datasets library treats as a chain of URLs. "
                        "Rename it."
                    )
                if path.is_symlink() and leads_outside(path, folder):
                    raise DataError(
                        f"{path_text(path)} is a link to a file outside the data folder, which is not read. Copy the folder with "
                        f"its contents (cp -rL {path_text(folder)} NEW), and set `data.task.path` to the copy."
                    )
                if not path.is_file() and not path.is_dir():
                    raise DataError(
                        f"{path_text(path)} is neither a regular file nor a folder. Remove it from the data folder."
                    )
    except OSError as error:
        raise DataError(
            f"{path_text(folder)} cannot be read ({error.strerror}). Check `data.task.path` and your permission to read it."
        ) from error
    _check_card(folder)


def settings_file(folder: Path) -> Path:
    """Returns the file with the settings of a data folder: the last of `CARDS` that exists."""
    return next((folder / name for name in reversed(CARDS) if (folder / name).is_file()), folder / CARDS[0])


def saved_split(folder: Path, split: str) -> Path | None:
    """Returns the folder that `save_to_disk` wrote for a split, or None if the data set does not have that format."""
    if (folder / "dataset_dict.json").is_file():
        splits = _json_list(folder / "dataset_dict.json", "splits")
        if split not in splits or not is_plain_name(split):
            raise DataError(f"The data set {folder} has no split {split!r}; it has {', '.join(map(str, splits))}.")
        folder = folder / split
    if not (folder / "state.json").is_file():
        return None
    for entry in _json_list(folder / "state.json", "_data_files"):
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not is_plain_name(name):
            raise DataError(
                f"{folder / 'state.json'} names {name!r}, which is not a file in the same folder. Save the data set again."
            )
    return folder


def _json_list(file: Path, key: str) -> list[Any]:
    """The list under a key of a JSON file that `save_to_disk` wrote."""
    try:
        content = strict_json(read_regular(file))
    except (OSError, StrictJsonError) as error:
        raise DataError(f"{file} cannot be read: {error}. Save the data set again.") from error
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise DataError(f"{file} has no list under {key!r}. Save the data set again.")
    return list(content[key])


def _check_card(folder: Path) -> None:
    """Raises DataError if the card of a data folder names data outside the folder.

    The `datasets` library resolves `data_files` and `data_dir`, including URLs, before it returns anything. So the card is read
    here without the library.
    """
    for name in CARDS:
        file = folder / name
        if not file.is_file():
            continue
        configs = _head(file).get("configs")
        if not configs:
            continue
        if not isinstance(configs, list):
            raise _bad_card(file, f"`configs` is {json_type_name(configs)} where a list is needed")
        for config in configs:
            if not isinstance(config, dict) or not isinstance(config.get("config_name"), str):
                raise _bad_card(file, "an entry of `configs` is not a mapping with text under `config_name`")
            if not isinstance(config.get("data_dir"), str | None):
                raise _bad_card(file, f"`data_dir` is {json_type_name(config['data_dir'])} where text is needed")
            for key in ("data_dir", "data_files"):
                for path in _paths_in(config[key], file, key) if key in config else ():
                    if _leaves_folder(path):
                        raise DataError(
                            f"{path_text(file)} names the data {shortened(printable(path), 100)!r} under `{key}`, which is "
                            "outside the folder. A data folder is read without the network and must contain all its files. Copy "
                            "them into it, and use names relative to it."
                        )


def _leaves_folder(path: str) -> bool:
    """Whether a path or pattern in a card is a URL, absolute, in a home folder, or contains `..`."""
    return (
        "::" in path
        or _PROTOCOL.match(path) is not None
        or path.startswith(("/", "~", "\\"))
        or ".." in re.split(r"[/\\]", path)
    )


def _head(file: Path) -> dict[str, Any]:
    """The YAML mapping in a card, of bounded size, read by the same safe loader that the `datasets` library uses."""
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
        raise _bad_card(file, f"its YAML is {json_type_name(head)} where a mapping is needed")
    pending: list[Any] = [head]
    count = 0
    while pending:
        part = pending.pop()
        count += 1
        # Aliases of aliases in a short text can expand to more values than fit into memory.
        if count + len(pending) > _MOST_VALUES:
            raise _bad_card(file, f"it contains more than {_MOST_VALUES:,} values")
        if isinstance(part, dict | list):
            pending.extend(part.values() if isinstance(part, dict) else part)
    return head or {}


def _paths_in(value: Any, file: Path, key: str) -> Iterator[str]:
    """All text in the value of `data_files` or `data_dir`: paths and patterns, in lists or mappings, and names of splits."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths_in(item, file, key)
    elif value is not None or key == "data_files":
        raise _bad_card(file, f"`{key}` contains {json_type_name(value)} where text is needed")


def _bad_card(file: Path, reason: str) -> DataError:
    return DataError(f"{path_text(file)}: {reason}. Correct it, or remove it from the data folder.")
