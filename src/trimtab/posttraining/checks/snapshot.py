"""Copies of files under the hashes of their content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.boundary import StrictJsonError, path_text, read_regular, strict_json
from trimtab.data.tasks.files import existing_file
from trimtab.errors import DataError
from trimtab.records.atomic import write_bytes, write_json

INDEX = "snapshot.json"
"""The list of the copies in a folder."""


def keep(files: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Copy files into a folder as `HASH-NAME` and add them to its index; returns their entries.

    A file whose content is there under this name is not copied again. Raises `DataError` for a file that cannot be read, for a
    copy that was changed, and for a damaged index.
    """
    entries = {entry["copy"]: entry for entry in _index(folder)}
    kept = []
    for name in files:
        file = existing_file(name, "FILE", "a file to keep")
        try:
            content = read_regular(file)
        except OSError as error:
            raise DataError(f"{path_text(file)} cannot be read ({error.strerror}). Check its permissions.") from error
        digest = hashlib.sha256(content).hexdigest()
        copy = folder / f"{digest[:16]}-{file.name}"
        folder.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            write_bytes(copy, content)
        elif hashlib.sha256(read_regular(copy)).hexdigest() != digest:
            raise DataError(f"{path_text(copy)} does not have the content that its name says. Remove it, and repeat.")
        entry = {"copy": copy.name, "sha256": digest, "bytes": len(content), "source": str(file.absolute())}
        entries[copy.name] = entry
        kept.append(entry)
    write_json(folder / INDEX, [entries[name] for name in sorted(entries)])
    return kept


def _index(folder: Path) -> list[dict[str, Any]]:
    path = folder / INDEX
    if not path.exists():
        return []
    try:
        entries = strict_json(read_regular(path))
    except StrictJsonError as error:
        raise DataError(f"{path_text(path)} is damaged: {error}. Remove it; the copies stay.") from error
    if not isinstance(entries, list) or not all(isinstance(one, dict) and "copy" in one for one in entries):
        raise DataError(f"{path_text(path)} is not an index of copies. Remove it; the copies stay.")
    return entries
