"""Files that are written completely or not at all."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from trimtab.boundary import open_to_write
from trimtab.config.model_paths import cache_folder
from trimtab.errors import TrimtabError, WorkError
from trimtab.records.atomic import sync_folder
from trimtab.records.failures import write_failure


def write_durably(path: Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Writes a file under a temporary name in the same folder, syncs it to the disk and renames it.

    `content` is bytes, or a function that writes large content to the open file. The temporary name is random, because processes
    on several machines or in containers can share a cache folder and have the same process id. Raises WorkError if the file
    cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(open_to_write(temporary, "new"), "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> TrimtabError:
    """Returns the error for a file that could not be written; for a cache file it says how to move the cache."""
    failure = write_failure(path, error)
    if not isinstance(failure, WorkError) or not path.is_relative_to(cache_folder()):
        return failure
    return WorkError(f"{failure} The cache is in {cache_folder()}; set $TRIMTAB_CACHE to use another folder.")
