"""A run's description at its start (`manifest.json`) and its result at its end (`summary.json`)."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from trimtab.boundary import json_type_name, printable, read_regular, shortened
from trimtab.errors import RunError
from trimtab.records.atomic import write_json
from trimtab.records.hashing import Seal, content_sha256
from trimtab.records.problems import problems_of
from trimtab.records.rows import Figures, Number
from trimtab.records.values import parse_json, to_json

FORMAT_VERSION = 1
"""The version of the files in a run directory; one with a higher number is refused."""

Status = Literal["completed", "diverged", "stopped", "interrupted"]

CHECKSUM = "checksum"
"""The field of a JSON record that has the SHA-256 of all the others."""


class _Record(BaseModel):
    # fields that a later Trimtab adds are kept when an older one rewrites the file
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=True)


class HookRecord(_Record):
    """A hook that was on in a run."""

    name: str
    kind: str
    config: dict[str, Any] = Field(default_factory=dict)
    source_hash: str


class ComponentRecord(_Record):
    """A component of the user's own (named by a dotted path) that a run is made of."""

    kind: str
    name: str
    source_hash: str


class DataRecord(_Record):
    """The data of a run; a data source may add keys."""

    name: str
    fingerprint: str
    tokens: int | None = None


class ModelRecord(_Record):
    """The model: its parameters, how many of them train, and the fingerprint of the files that it begins from, if any."""

    parameters: int
    trained: int
    fingerprint: str | None = None


class Parent(_Record):
    """The run and the step that a fork started from, the folder of that run, and what the fork changed.

    `changed` are the config keys that differ; `changes` are the accepted changes of conditions since the parent was recorded.
    `controller` is the memory with which its regime controller started instead of the parent's, as JSON of `runtime.nested`.
    """

    run_id: str
    step: int
    path: str = ""
    changed: list[str] = Field(default_factory=list)
    changes: list[str] = Field(default_factory=list)
    controller: dict[str, Any] | None = None


class Manifest(_Record):
    """`manifest.json`: everything that is known about a run before its first step. `created_at` is ISO 8601, UTC.

    `kind` names the kind of run. `unrecorded_changes` are accepted changes that no event before a checkpoint records yet.
    """

    kind: str = "training"
    run_id: str
    created_at: str
    git_commit: str | None
    git_dirty: bool | None
    config_hash: str
    config: dict[str, Any]
    hooks: list[HookRecord]
    components: list[ComponentRecord] = Field(default_factory=list)
    seed: int
    data: DataRecord
    model: ModelRecord | None = None
    environment: dict[str, Any]
    parent: Parent | None = None
    unrecorded_changes: list[str] = Field(default_factory=list)
    trimtab: str
    command: list[str] = Field(default_factory=list)
    format_version: int = FORMAT_VERSION

    @field_validator("created_at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        try:
            zone = datetime.fromisoformat(text).tzinfo
        except ValueError:
            zone = None
        if zone is None:
            shown = shortened(printable(text), 60)
            raise ValueError(f'"{shown}" is not a time with a time zone, such as 2026-01-31T12:00:00+00:00')
        return text

    def write(self, path: str | Path) -> None:
        """Write the manifest atomically. Raises WorkError when the disk refuses."""
        write_json(path, self.model_dump())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The manifest at `path`. Raises RunError when it is missing, damaged or of a later format."""
        folder = Path(path).parent
        missing = experiment_in(folder) or _why_no_run(folder)
        raw = read_object(Path(path), "manifest", missing)
        version = raw.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise RunError(
                f"{path} is of format {version}; this Trimtab reads formats up to {FORMAT_VERSION}. Install a newer Trimtab."
            )
        return _validated(cls, raw, Path(path))


def _why_no_run(folder: Path) -> str:
    if not folder.exists():
        return "there is no such folder"
    return "the folder holds no run, or the run was killed during its start; `trimtab list` shows the runs"


class Summary(_Record):
    """`summary.json`: how a run ended. `metrics` holds the final figures by name (`val_loss`, ...); seconds and MiB.

    `records` are the seals of the run's other files at that time, by their path within the run.
    """

    status: Status
    steps: int
    metrics: Figures = Field(default_factory=dict)
    weights_sha256: str | None
    tokens_per_second: Number | None
    seconds: Number
    peak_rss_mb: Number
    records: dict[str, Seal] = Field(default_factory=dict)

    def write(self, path: str | Path) -> None:
        """Write the summary atomically, with a checksum of itself. Raises WorkError when the disk refuses."""
        write_json(path, with_checksum(self.model_dump()))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The summary at `path`, non-finite metrics as floats.

        Raises RunError when it is missing, damaged, or not what was written.
        """
        raw = without_checksum(
            read_object(Path(path), "summary", "the run has not ended, or was killed"), f"The summary {path}"
        )
        return _validated(cls, raw, Path(path))


def experiment_in(folder: Path) -> str | None:
    """A clause about a folder that holds an experiment and no run; None for any other folder."""
    if not (folder / "experiment.json").is_file():
        return None
    return f"{folder} holds an experiment. `trimtab list {folder}` lists its runs, `trimtab report {folder}` draws its report"


def now() -> str:
    """The time as manifests write it: ISO 8601, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_run_id() -> str:
    """A name that sorts by time (to the second, UTC) and ends in 32 random bits of the operating system's."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(4).hex()}"


def with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with the SHA-256 of its content as a last field."""
    plain = to_json(content)
    return {**plain, CHECKSUM: content_sha256(plain)}


def without_checksum(raw: dict[str, Any], what: str) -> dict[str, Any]:
    """The content of an object that `with_checksum` made. Raises RunError, which begins with `what`, where it was changed."""
    content = {key: value for key, value in raw.items() if key != CHECKSUM}
    if raw.get(CHECKSUM) != content_sha256(content):
        raise RunError(
            f"{what} is damaged: its content is not what was written (its checksum differs). Restore it from a copy."
        )
    return content


def read_object(path: Path, what: str, missing: str) -> dict[str, Any]:
    """The JSON object in a file of records. Raises RunError where it is `missing` (why), damaged, or something else."""
    try:
        raw = parse_json(read_regular(path))
    except FileNotFoundError as error:
        raise RunError(f"There is no {what} at {path}: {missing}.") from error
    except OSError as error:
        raise RunError(f"Cannot read the {what} {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise RunError(f"The {what} {path} is damaged: {printable(error)}. Restore it from a copy.") from error
    if not isinstance(raw, dict):
        raise RunError(
            f"The {what} {path} is damaged: it holds {json_type_name(raw)}, not an object. Restore it from a copy."
        )
    return raw


_R = TypeVar("_R", bound=_Record)


def _validated(kind: type[_R], raw: dict[str, Any], path: Path) -> _R:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {problems_of(error)}. Restore it from a copy.") from error
