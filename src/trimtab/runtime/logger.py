"""Where a run's rows go: to its folder, to a display, or only to memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trimtab.records import JsonlWriter, RunDirectory, now
from trimtab.records.atomic import write_bytes
from trimtab.records.hashing import Seal
from trimtab.records.jsonl import encode_row

Row = Mapping[str, Any]


class Display(Protocol):
    """Shows a person how a run goes."""

    def begin(self, steps: int) -> None:
        """The run goes up to step `steps`."""
        ...

    def step(self, row: Row) -> None:
        """A step was made."""
        ...

    def event(self, row: Row) -> None:
        """Something was decided or happened."""
        ...

    def evaluation(self, row: Row) -> None:
        """The model was evaluated."""
        ...


class Logger(Protocol):
    """What the trainer writes to. `folder` is where checkpoints go; None keeps a run in memory."""

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
        """Record the answers of a task evaluation, in place of those of an earlier one."""
        ...

    def seals(self) -> dict[str, Seal]:
        """The lengths and the hashes of the records, once they are safe on the disk."""
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
        """Nothing is on a disk."""
        return {}


class RunLogger:
    """Appends the rows to a run's JSONL files, which are the source of truth, and shows them."""

    def __init__(self, run: RunDirectory, display: Display | None = None) -> None:
        self.folder: Path | None = run.path
        self.display = display
        self._predictions = run.predictions_path
        self._writers = {
            "steps.jsonl": JsonlWriter(run.steps_path),
            "events.jsonl": JsonlWriter(run.events_path),
            "evaluations.jsonl": JsonlWriter(run.evaluations_path),
        }

    def step(self, row: Row) -> None:
        """Record and show a step."""
        self._writers["steps.jsonl"].write(row)
        if self.display is not None:
            self.display.step(row)

    def event(self, step: int, attempt: int, kind: str, reason: str, before: Any = None, after: Any = None) -> None:
        """Record and show an event."""
        row = _event(step, attempt, kind, reason, before, after)
        self._writers["events.jsonl"].write(row)
        if self.display is not None:
            self.display.event(row)

    def evaluation(self, row: Row) -> None:
        """Record and show an evaluation."""
        self._writers["evaluations.jsonl"].write(row)
        if self.display is not None:
            self.display.evaluation(row)

    def predictions(self, rows: Sequence[Row]) -> None:
        """Write a task evaluation's answers: a file that is whole or not there."""
        write_bytes(self._predictions, b"".join(encode_row(row) for row in rows))

    def seals(self) -> dict[str, Seal]:
        """The lengths and the hashes of the files, synced to the disk first."""
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
