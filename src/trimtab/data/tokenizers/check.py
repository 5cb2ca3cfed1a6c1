"""Whether a tokenizer.json may be used in this process: tried once per content, in a process with limits."""

import hashlib
import json
from pathlib import Path

import tokenizers

from trimtab.boundary import foreign, run_limited
from trimtab.config.model_paths import cache_folder
from trimtab.data.durable import write_durably
from trimtab.data.tokenizers.trial import trial
from trimtab.errors import DataError, WorkError

LARGEST = 1 << 27
"""Bytes of a tokenizer.json; those of the largest vocabularies have 35 MB."""

_VERSION = 2
_SECONDS, _MEMORY = 10, 4 << 30
_sound: set[str] = set()


def check_tokenizer(path: Path, content: bytes) -> None:
    """Raise DataError for a tokenizer file whose trial fails or exceeds its limits on time and memory.

    What passed is remembered by the SHA-256 of `content` and the version of the tokenizers library, so a file costs a few
    tenths of a second once.
    """
    key = hashlib.sha256(f"{_VERSION} {tokenizers.__version__}\0".encode() + content).hexdigest()
    memo = cache_folder() / "tokenizers" / f"{key}.json"
    if key in _sound or memo.is_file():
        return
    with foreign(DataError, lambda reason: unusable(path, reason)):
        facts = run_limited(trial, str(path.absolute()), seconds=_SECONDS, memory=_MEMORY)
    _sound.add(key)
    try:
        write_durably(memo, json.dumps(facts).encode())
    except WorkError:
        return  # a cache that cannot be written: the next process tries the file again


def unusable(path: Path, reason: str) -> str:
    """The message of a tokenizer file that is not used."""
    return (
        f"The file {path} is no tokenizer that can be used: {reason}. A tokenizer file is the tokenizer.json that the "
        "`tokenizers` library saves; `trimtab tokenizer train` makes one from your text."
    )
