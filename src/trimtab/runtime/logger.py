"""Where a trainer writes its rows: to the files of a run and its consumer of events, or to lists in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from trimtab.records import JsonlWriter, RunDirectory, now
from trimtab.records.atomic import write_bytes
from trimtab.records.hashing import Seal
from trimtab.records.jsonl import encode_row
from trimtab.records.values import to_json
from trimtab.runtime.events import Evaluation, Occurrence, OnEvent, Row, Step


class Logger(Protocol):
    """What the trainer writes to. `folder` is where checkpoints go; with None the run stays in memory."""

    folder: Path | None

    def step(self, row: Row) -> None:
        """Record a step."""
        ...

    def event(self, step: int, attempt: int, kind: str, reason: str, before: Any = None, after: Any = None) -> None:
        """Record a decision or an occurrence."""
        ...

    def evaluation(self, row: Row) -> None:
        """Record an evaluation."""
        ...

    def predictions(self, rows: Sequence[Row]) -> None:
        """Record the answers of a task evaluation, replacing those of an earlier one."""
        ...

    def seals(self) -> dict[str, Seal]:
        """Sync the records to the disk; returns their lengths and hashes."""
        ...


class MemoryLogger:
    """Keeps the rows in lists; for notebooks and tests."""

    folder: Path | None = None

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []

    def step(self, row: Row) -> None:
        """Keep a step's row."""
        self.steps.append(dict(row))

    def event(self, step: int, attempt: int, kind: str, reason: str, before: Any = None, after: Any = None) -> None:
        """Keep an event."""
        self.events.append(_event(step, attempt, kind, reason, before, after))

    def evaluation(self, row: Row) -> None:
        """Keep an evaluation's row."""
        self.evaluations.append(dict(row))

    def predictions(self, rows: Sequence[Row]) -> None:
        """Keep a task evaluation's answers."""
        self.answers = [dict(row) for row in rows]

    def seals(self) -> dict[str, Seal]:
        """Returns nothing: there is no file."""
        return {}


class RunLogger:
    """Appends each row to the run's JSONL files, then emits it as an event."""

    def __init__(self, run: RunDirectory, events: OnEvent | None = None) -> None:
        self.folder: Path | None = run.path
        self._events = events
        self._predictions = run.predictions_path
        self._writers = {
            "steps.jsonl": JsonlWriter(run.steps_path),
            "events.jsonl": JsonlWriter(run.events_path),
            "evaluations.jsonl": JsonlWriter(run.evaluations_path),
        }

    def step(self, row: Row) -> None:
        """Write and emit a step."""
        self._writers["steps.jsonl"].write(row)
        if self._events is not None:
            self._events(Step(to_json(row)))

    def event(self, step: int, attempt: int, kind: str, reason: str, before: Any = None, after: Any = None) -> None:
        """Write and emit a decision or an occurrence."""
        row = _event(step, attempt, kind, reason, before, after)
        self._writers["events.jsonl"].write(row)
        if self._events is not None:
            self._events(Occurrence(to_json(row)))

    def evaluation(self, row: Row) -> None:
        """Write and emit an evaluation."""
        self._writers["evaluations.jsonl"].write(row)
        if self._events is not None:
            self._events(Evaluation(to_json(row)))

    def predictions(self, rows: Sequence[Row]) -> None:
        """Write a task evaluation's answers, all of them or none."""
        write_bytes(self._predictions, b"".join(encode_row(row) for row in rows))

    def seals(self) -> dict[str, Seal]:
        """Sync the files to the disk; returns their lengths and hashes."""
        for writer in self._writers.values():
            writer.flush(sync=True)
        return {name: writer.seal() for name, writer in self._writers.items()}

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()


def _event(step: int, attempt: int, kind: str, reason: str, before: Any, after: Any) -> dict[str, Any]:
    return {
        "step": step,
        "attempt": attempt,
        "kind": kind,
        "reason": reason,
        "before": before,
        "after": after,
        "time": now(),
    }
