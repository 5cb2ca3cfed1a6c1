"""Decides whether a tokenizer.json may be loaded into this process, by a trial in a process with limits."""

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
"""The most bytes of a tokenizer.json; those of the largest vocabularies have 35 MB."""

_VERSION = 2
_SECONDS, _MEMORY = 10, 4 << 30
_sound: set[str] = set()


def check_tokenizer(path: Path, content: bytes) -> None:
    """Raises DataError for a tokenizer file whose trial fails or exceeds its limits on time and memory.

    Successful trials are remembered by the SHA-256 of `content` and the version of the tokenizers library, so each file takes a
    few tenths of a second only once.
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
        return  # without a cache, the next process repeats the trial


def unusable(path: Path, reason: str) -> str:
    """Returns the message for a tokenizer file that cannot be used."""
    return (
        f"The file {path} is not a usable tokenizer: {reason}. A tokenizer file is a tokenizer.json saved by the library "
        "`tokenizers`; `trimtab tokenizer train` makes one from your text."
    )
