"""What a checkpoint holds besides the weights: its step, the records up to it, the state as JSON. Loads no weights."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.boundary import kind_of_file, printable, read_regular
from trimtab.errors import RunError
from trimtab.records.hashing import Seal, content_sha256
from trimtab.records.manifest import CHECKSUM
from trimtab.records.problems import problems_of
from trimtab.records.values import parse_json

FORMAT = 2
STATE_LIMIT = 1 << 30
"""Bytes that `state.json` may have: it holds the position in the data and what hooks and controllers remember."""

_NAME = re.compile(r"step-(\d{8,18})")


class CheckpointState(BaseModel):
    """`state.json`: `files` are the checkpoint's own, `records` the JSONL files of the run as they were then."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    step: int
    weights_sha256: str
    files: dict[str, Seal]
    records: dict[str, Seal]
    values: dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"


def checkpoint_steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, ascending; [] where there is no folder.

    Raises `RunError` where something else is in the place of the folder.
    """
    if not folder.is_dir():
        if (kind := kind_of_file(folder)) is not None:
            raise RunError(f"{folder} is {kind}, not the folder of the run's checkpoints. Restore it from a copy.")
        return []
    return sorted(int(match[1]) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name)) is not None)


def read_state(path: Path) -> CheckpointState:
    """The `state.json` of a checkpoint's folder. Raises `RunError` where it is damaged or of another format."""
    try:
        content = parse_json(read_regular(path / "state.json", at_most=STATE_LIMIT))
        checksum = content.pop(CHECKSUM)
    except OSError as error:
        raise RunError(f"The checkpoint {path} is damaged: state.json cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise RunError(f"The checkpoint {path} is damaged: state.json is not a record ({printable(error)}).") from error
    except (KeyError, AttributeError, TypeError) as error:
        raise RunError(f"The checkpoint {path} is damaged: state.json has no checksum.") from error
    if checksum != content_sha256(content):
        raise RunError(f"The checkpoint {path} is damaged: state.json is not what was written.")
    if content.get("format") != FORMAT:
        raise RunError(
            f"The checkpoint {path} is of format {printable(content.get('format'))}; this Trimtab reads format {FORMAT}."
        )
    try:
        return CheckpointState.model_validate(content)
    except ValidationError as error:
        raise RunError(f"The checkpoint {path} is damaged: state.json: {problems_of(error)}.") from error


def states(folder: Path) -> Iterator[CheckpointState]:
    """The states of those checkpoints in `folder` that have a sound `state.json`, newest first."""
    for step in reversed(checkpoint_steps(folder)):
        try:
            yield read_state(checkpoint_path(folder, step))
        except RunError:
            continue  # skip a damaged checkpoint (`resume` reports it); an earlier one may be sound
