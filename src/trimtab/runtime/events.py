"""The events of a run: one typed stream for the command line, for a parent process, for a dashboard.

A consumer is any callable that takes a `RunEvent`. It is called in the thread that runs the work, in the order in which things
happen, and it cannot change the run: rows are copies. Whatever a consumer raises ends the call that runs the work. Without a
consumer no event is built.

A row that is also recorded is written first and emitted then. So a consumer sees nothing that the records lack, and an error
in a consumer loses no row. The records are no consumer of the stream themselves, because a checkpoint needs their lengths and
hashes at its own moment.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Row = Mapping[str, Any]
"""A row of records as plain JSON values, in which "nan", "inf" and "-inf" are numbers (`trimtab.records.rows` says where)."""


RUN = "run"
"""The unit of a stage whose parts are runs of their own, which `Nested` events are about."""


@dataclass(frozen=True, slots=True)
class Started:
    """The work has begun or continues after `done` units. From here on it answers a request to stop with a checkpoint.

    `kind` is the kind of run, or the command if it is not a run in a folder; `unit` is what is counted ("step", "pair"), in the
    singular; `total` is None where the end is not known.
    """

    kind: str
    folder: str | None
    unit: str
    total: int | None = None
    done: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the work begins. `name` is what `Progress` and `Step` call it."""

    name: str
    unit: str
    total: int | None = None
    done: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """So many units of a stage are done; also of a stage that no `Stage` announced, such as the reading of a corpus."""

    stage: str
    unit: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step was made: the row of `steps.jsonl`. `stage` is None where a run has no stages."""

    row: Row
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The model was evaluated: the row of `evaluations.jsonl`."""

    row: Row


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A decision, a change of regime, a skip, a checkpoint, a resume and so on: the row of `events.jsonl`."""

    row: Row


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for a person, which no record holds."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The work has ended. A call that raises emits no `Ended`.

    `reason` says why, for a failure the error; `headline` is the main figure in words; `reused` is whether the work had been
    done before; `figures` are the metrics of its summary.
    """

    status: str
    reason: str | None = None
    headline: str | None = None
    reused: bool = False
    figures: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Nested:
    """An event of a run that this one consists of, such as an episode of an experiment.

    `run` is its folder, relative to that of this run; `title` names it in words.
    """

    run: str
    title: str
    event: "RunEvent"


RunEvent = Started | Stage | Progress | Step | Evaluation | Occurrence | Message | Ended | Nested

OnEvent = Callable[[RunEvent], None]
"""A consumer of events."""

_KINDS: dict[str, type[Any]] = {
    one.__name__.lower(): one for one in (Started, Stage, Progress, Step, Evaluation, Occurrence, Message, Ended)
}


def to_plain(event: RunEvent) -> dict[str, Any]:
    """The event as JSON values, to send it to another process; `from_plain` is the inverse."""
    if isinstance(event, Nested):
        return {"event": "nested", "run": event.run, "title": event.title, "of": to_plain(event.event)}
    values = {one.name: getattr(event, one.name) for one in fields(event)}
    return {"event": type(event).__name__.lower(), **values}


def from_plain(plain: Mapping[str, Any]) -> RunEvent:
    """The event that `to_plain` turned into JSON values."""
    if plain["event"] == "nested":
        return Nested(plain["run"], plain["title"], from_plain(plain["of"]))
    made: RunEvent = _KINDS[plain["event"]](**{key: value for key, value in plain.items() if key != "event"})
    return made


class Thinned:
    """Passes on every event but steps, and of these at most one per `seconds`: enough to show a run of another process.

    The records hold every step.
    """

    def __init__(self, on_event: OnEvent, seconds: float = 1.0) -> None:
        self._on_event, self._seconds = on_event, seconds
        self._next = 0.0

    def __call__(self, event: RunEvent) -> None:
        """Take an event."""
        if isinstance(event, Step):
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + self._seconds
        self._on_event(event)
