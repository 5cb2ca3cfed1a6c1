"""The files of a pretrained model's folder: inside it, regular, and of bounded size."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trimtab.boundary import StrictJsonError, is_plain_name, printable, read_regular, strict_json
from trimtab.errors import DataError

JSON_LIMIT = 4 << 20
"""Bytes that a config, a tokenizer's config or a chat template may have; the largest in use have a few hundred thousand."""

_DEEPEST = 32


def member(folder: Path, name: str) -> Path | None:
    """The path of a model's file by its name in the folder, or None where there is no such file.

    A link is followed only inside the folder and, in a folder of the Hugging Face hub's cache, to the blobs of that cache.
    Raises DataError for any other link, for a name with a path in it and for anything but a regular file.
    """
    path = folder / name
    if not is_plain_name(name):
        raise DataError(
            f"A file of the model in {folder} is named '{printable(name)}', which is not the plain name of a file there. "
            "Name only files inside the folder."
        )
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{printable(path)} cannot be read: {error.strerror}. Copy the file again.") from error
    if stat.S_ISLNK(status.st_mode):
        _check_target(path, folder)
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path} is not a regular file. Copy the model's folder again.")
    return path


def read_member(folder: Path, name: str, *, at_most: int = JSON_LIMIT) -> bytes | None:
    """The bytes of a model's file, or None where there is none.

    Raises DataError as `member` does, for a file that cannot be read and for one of more than `at_most` bytes.
    """
    if (path := member(folder, name)) is None:
        return None
    try:
        return read_regular(path, at_most=at_most)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Copy the model's folder again.") from error


def read_mapping(folder: Path, name: str) -> dict[str, Any] | None:
    """The mapping in a model's JSON file, or None where there is no such file. Raises DataError for anything else."""
    if (content := read_member(folder, name)) is None:
        return None
    path = folder / name
    try:
        # Configs of Mamba 2 and its kin have Infinity as the end of `time_step_limit`, and transformers reads it as a number.
        # NaN is not a setting of any model.
        mapping = strict_json(content, infinite=True)
    except StrictJsonError as error:
        raise DataError(
            f"{path} cannot be read as JSON: {error}. Correct the file, or copy the model's folder again."
        ) from error
    if not isinstance(mapping, dict):
        raise DataError(f"{path} holds no mapping. Copy the model's folder again.")
    if any(depth > _DEEPEST for _, _, depth in entries(mapping)):
        raise DataError(f"{path} is nested more than {_DEEPEST} levels deep. Copy the model's folder again.")
    return mapping


def entries(content: Any) -> Iterator[tuple[str, Any, int]]:
    """Every key of nested mappings with its value and its depth; elements of a list have the key of the list."""
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    while waiting:
        key, part, depth = waiting.pop()
        if depth:
            yield key, part, depth
        if isinstance(part, dict):
            waiting.extend((str(name), value, depth + 1) for name, value in part.items())
        elif isinstance(part, list):
            waiting.extend((key, value, depth + 1) for value in part)


def _check_target(path: Path, folder: Path) -> None:
    target = Path(os.path.realpath(path))
    if not any(target.is_relative_to(root) for root in _roots(folder)):
        raise DataError(
            f"{path} is a link to {printable(target)}, which is outside the model's folder, so it is not followed. Copy the file "
            "itself into the folder (cp -L)."
        )
    if not target.exists():
        raise DataError(
            f"{path} is a link to {printable(target)}, which does not exist. Copy the model's folder again."
        )


def _roots(folder: Path) -> list[Path]:
    """The folders that links in a model's folder may lead to.

    The hub's cache keeps `models--owner--name/snapshots/<revision>/` with links into `models--owner--name/blobs/`, and these
    may be links into `blobs/` of the whole cache.
    """
    real = Path(os.path.realpath(folder))
    snapshots = real.parent
    repository = snapshots.parent
    if snapshots.name == "snapshots" and repository.name.startswith("models--"):
        return [real, repository / "blobs", repository.parent / "blobs"]
    return [real]
