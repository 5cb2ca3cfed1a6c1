"""Files that are there whole or not at all."""

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
    """Write a file under a temporary name beside its own, sync it to the disk and rename it: never half there.

    `content` is bytes, or a function that writes to the open file for what is too large to hold. The temporary name is
    random, since processes that share a cache folder from several machines or containers may share a process id. Raises
    WorkError when the system cannot write there.
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
    """The error for a file that could not be written; for one of the cache it says how to keep the cache elsewhere."""
    failure = write_failure(path, error)
    if not isinstance(failure, WorkError) or not path.is_relative_to(cache_folder()):
        return failure
    return WorkError(f"{failure} Encoded text is kept in {cache_folder()}; set $TRIMTAB_CACHE to keep it elsewhere.")
