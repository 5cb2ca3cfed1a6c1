"""The folder of one run: its paths, its lock, its readers."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from trimtab.errors import RunError
from trimtab.records.atomic import is_leftover
from trimtab.records.jsonl import read_rows
from trimtab.records.lock import RunLock, is_held
from trimtab.records.manifest import Manifest, Status, Summary
from trimtab.records.rows import EvaluationRow, EventRow, PredictionRow, Row, StepRow

LOCK_NAME = ".lock"
RunStatus = Literal["running"] | Status


class RunDirectory:
    """The files of one run under `path`. Constructing one touches nothing."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest_path = self.path / "manifest.json"
        self.steps_path = self.path / "steps.jsonl"
        self.events_path = self.path / "events.jsonl"
        self.evaluations_path = self.path / "evaluations.jsonl"
        self.predictions_path = self.path / "predictions.jsonl"
        self.summary_path = self.path / "summary.json"
        self.checkpoints_path = self.path / "checkpoints"
        self.plots_path = self.path / "plots"
        self.exports_path = self.path / "exports"
        self.lock_path = self.path / LOCK_NAME

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def exists(self) -> bool:
        """Whether a run has started here: its manifest is written, or something else is in its place."""
        return os.path.lexists(self.manifest_path)

    def check_free(self) -> None:
        """Raise RunError unless a new run could be put here: the folder is missing or empty. Touches nothing."""
        if self.exists():
            raise RunError(
                f"{self.path} holds a run already{self._named()}. Go on with it by `trimtab resume {self.path}`, "
                "or choose another --out."
            )
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file, not a folder. Choose another --out.")
        foreign = (
            sorted(entry.name for entry in self.path.iterdir() if not _is_ours(entry)) if self.path.exists() else []
        )
        if foreign:
            more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
            raise RunError(
                f"{self.path} is not empty: it holds {', '.join(foreign[:3])}{more}, and a run needs a folder of its own. "
                "Choose another --out, or empty that folder."
            )

    @contextmanager
    def create(self) -> Iterator[None]:
        """Make the folder for a new run and hold its lock for the block.

        Raises RunError when it holds another run or other files, or another process is starting one there; nothing is
        left behind then. A block that fails before it wrote anything leaves no folder either.
        """
        self.check_free()
        new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"Cannot make the folder {self.path}: {error.strerror}. Choose another --out.") from error
        with self.lock():
            self.check_free()  # another process may have started and ended a run between the first look and the lock
            try:
                yield
            finally:
                if new and not any(not _is_ours(entry) for entry in self.path.iterdir()):
                    shutil.rmtree(self.path)

    def withdraw(self) -> None:
        """Remove the records of a start that failed before its first step; `create` then removes a folder that it made.

        Nothing is removed where a step, an evaluation, an end or a checkpoint is recorded.
        """
        rows = (self.steps_path, self.evaluations_path, self.predictions_path)
        done = [self.summary_path, *(path for path in rows if os.path.lexists(path) and path.lstat().st_size)]
        if any(map(os.path.lexists, done)) or not _is_empty(self.checkpoints_path):
            return
        if self.checkpoints_path.is_dir():
            shutil.rmtree(self.checkpoints_path)
        for path in (*rows, self.events_path, self.manifest_path):
            path.unlink(missing_ok=True)

    def lock(self) -> RunLock:
        """Hold the run as its one writer (a context manager). Raises RunError when another process does, naming it."""
        if not self.path.is_dir():
            raise RunError(f"There is no run at {self.path}: no such folder.")
        return RunLock(self.lock_path)

    def manifest(self) -> Manifest:
        """The run's manifest. Raises RunError when it is missing or damaged."""
        return Manifest.read(self.manifest_path)

    def summary(self) -> Summary | None:
        """The run's summary, None when it has not ended (or was killed). Raises RunError when it is damaged."""
        return Summary.read(self.summary_path) if self.summary_path.exists() else None

    def clear_summary(self) -> None:
        """Remove the summary of an earlier end, so that a resumed run that is then killed does not pass for ended."""
        self.summary_path.unlink(missing_ok=True)

    def steps(self) -> list[dict[str, Any]]:
        """The rows of `steps.jsonl`, non-finite values as floats, a half-written last line left out; [] before the first.

        Raises RunError for a malformed line, and for a row that is no `StepRow`.
        """
        return self._rows(self.steps_path, StepRow)

    def events(self) -> list[dict[str, Any]]:
        """The rows of `events.jsonl`, as `steps` gives its."""
        return self._rows(self.events_path, EventRow)

    def evaluations(self) -> list[dict[str, Any]]:
        """The rows of `evaluations.jsonl`, as `steps` gives its."""
        return self._rows(self.evaluations_path, EvaluationRow)

    def predictions(self) -> list[dict[str, Any]]:
        """The answers of the run's last task evaluation, as `steps` gives its rows; [] where there was none."""
        return self._rows(self.predictions_path, PredictionRow)

    def status(self) -> RunStatus:
        """`running` while a process holds the lock, else the summary's word, else `interrupted` (killed, no summary)."""
        if is_held(self.lock_path):
            return "running"
        summary = self.summary()
        return summary.status if summary else "interrupted"

    def _rows(self, path: Path, kind: type[Row]) -> list[dict[str, Any]]:
        return read_rows(path, kind) if path.exists() else []

    def _named(self) -> str:
        try:
            return f" ({self.manifest().run_id})"
        except RunError:
            return ""  # damaged: that it is there is what matters here


def _is_empty(folder: Path) -> bool:
    """Whether a folder is missing, or holds only what a write that failed has left."""
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and not folder.is_symlink() and all(is_leftover(entry.name) for entry in folder.iterdir())


def _is_ours(entry: Path) -> bool:
    """What may lie in the folder of a run that has not started: a killed start's lock and temporary files."""
    return entry.name == LOCK_NAME or is_leftover(entry.name)
