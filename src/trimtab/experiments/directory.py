"""The files of one experiment."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.boundary import folder_name, printable, shortened
from trimtab.config import RunError, config_hash
from trimtab.config.yaml_file import dump_yaml
from trimtab.experiments.spec import Experiment
from trimtab.records import code_state, now
from trimtab.records.atomic import write_json, write_text
from trimtab.records.experiment_files import (
    EFFECTS,
    PROGRESS,
    SAME_AS,
    SPEC,
    UNKNOWN_REASON,
    ExperimentProgress,
    read_progress,
)
from trimtab.records.experiment_spec import file_content
from trimtab.records.hashing import Seal, seal_of
from trimtab.records.manifest import with_checksum
from trimtab.records.places import place
from trimtab.records.rows import Row
from trimtab.version import __version__

_JUDGED = ("summary.json", SAME_AS, EFFECTS)
"""Files of an episode that the verdicts are made from. An episode's summary has the hashes of its other records."""


class ExperimentDirectory:
    """The files of one experiment under `path`. Constructing one touches nothing."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.spec_path = self.path / SPEC
        self.progress_path = self.path / PROGRESS
        self.log_path = self.path / "workers.log"

    def episode(self, arm: str, seed: int, cell: dict[str, Any]) -> Path:
        """The folder of an episode."""
        return self.path / place("episodes", arm, seed, cell)

    def noise(self, seed: int, cell: dict[str, Any]) -> Path:
        """The folder of the baseline's copy under another dropout draw."""
        return self.path / place("noise", None, seed, cell)

    def interventions(self, arm: str, seed: int, cell: dict[str, Any]) -> Path:
        """The folder with the measured effects of an episode's interventions."""
        return self.path / place("interventions", arm, seed, cell)

    def tuning(self, arm: str, candidate: int, seed: int) -> Path:
        """The folder of a run of a tuned arm's candidate, counted from 0."""
        return self.path / "tuning" / folder_name(arm) / str(candidate) / f"seed-{seed}"

    def name(self, folder: Path | str) -> str:
        """An episode's folder as the progress names it: relative to the experiment's."""
        return Path(os.path.relpath(folder, self.path)).as_posix()

    def failures(self) -> dict[str, str]:
        """The errors of the episodes whose last try failed, by the name of their folder; empty before the experiment begins."""
        if not self.progress_path.exists():
            return {}
        progress = self.progress()
        reasons = {event.episode: event.error for event in progress.events}
        failed = [name for name, episode in progress.episodes.items() if episode.status == "failed"]
        return {name: reasons.get(name, UNKNOWN_REASON) for name in failed}

    def progress(self) -> ExperimentProgress:
        """The manifest and progress. Raises `RunError` when it is missing or damaged."""
        return read_progress(self.progress_path)

    def write_progress(self, progress: ExperimentProgress) -> None:
        """Write what `progress` reads. Raises `WorkError` when the disk refuses."""
        write_json(self.progress_path, with_checksum(progress.model_dump()))

    def write(self, name: str, record: Row | Sequence[Row]) -> None:
        """Write a record, or a list of them, into a file of the folder. Raises `WorkError` when the disk refuses."""
        content = record.model_dump() if isinstance(record, Row) else [one.model_dump() for one in record]
        write_json(self.path / name, content)

    def seals(self) -> dict[str, Seal]:
        """The hash of every file that the verdicts and the report are made from, without the episodes' own records."""
        paths = [self.spec_path, *(path for path in self.path.glob("*.json") if path != self.progress_path)]
        for top in ("episodes", "noise", "tuning", "interventions"):
            paths += [path for name in _JUDGED for path in (self.path / top).rglob(name)]
        return {path.relative_to(self.path).as_posix(): seal_of(path) for path in sorted(paths) if path.is_file()}


def check_free(folder: ExperimentDirectory) -> None:
    """Raise `RunError` unless the folder holds an experiment or could take one: it is missing or empty. Touches nothing."""
    path = folder.path
    try:
        mode = path.stat().st_mode
        if not stat.S_ISDIR(mode):
            raise RunError(f"{path} is a file, and an experiment needs a folder of its own. Choose another --out.")
        entries = {entry.name for entry in path.iterdir()}
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    if folder.progress_path.name not in entries and entries - {".lock"}:
        raise RunError(f"{path} is not empty, and an experiment needs a folder of its own. Choose another --out.")


def _unusable(path: Path, error: OSError | ValueError) -> RunError:
    reason = getattr(error, "strerror", None) or error
    return RunError(f"The folder {shortened(printable(path), 120)} cannot be used: {reason}. Choose another --out.")


def check_usable(folder: ExperimentDirectory, experiment: Experiment) -> None:
    """Raise `RunError` unless the folder is missing, empty, or holds this experiment. Touches nothing."""
    check_free(folder)
    if folder.progress_path.exists():
        then = folder.progress()
        if then.spec_hash != config_hash(experiment.model_dump(mode="json")):
            raise RunError(
                f"{folder.path} holds another experiment ('{then.question}', or this one with another spec). Choose "
                f"another --out, or run the spec that is in {folder.spec_path}."
            )


def reserve(folder: ExperimentDirectory, experiment: Experiment, command: tuple[str, ...]) -> None:
    """Start the experiment's folder, or find it started. Raises `RunError` when it holds anything else."""
    check_usable(folder, experiment)
    spec = experiment.model_dump(mode="json")
    if not folder.progress_path.exists():
        _begin(folder, experiment, spec, command)
    # The progress is written first, so that the experiment can be continued after a kill in between.
    if not folder.spec_path.exists():
        write_text(folder.spec_path, dump_yaml(file_content(experiment)))


def _begin(folder: ExperimentDirectory, experiment: Experiment, spec: dict[str, Any], command: tuple[str, ...]) -> None:
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _unusable(folder.path, error) from error
    commit, dirty = code_state()
    metrics = experiment.metrics
    folder.write_progress(
        ExperimentProgress(
            question=experiment.question,
            spec_hash=config_hash(spec),
            created_at=now(),
            trimtab=__version__,
            git_commit=commit,
            git_dirty=dirty,
            command=list(command),
            metrics=[*metrics.always, *metrics.sometimes],
            explored=list(metrics.explored),
            status="running",
        )
    )
