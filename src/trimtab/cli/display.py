"""Shows the events of a run: on a terminal a bar with lines above it, elsewhere plain lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from trimtab.boundary import counted, printable
from trimtab.cli.output import say, say_in_handler
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import (
    RUN,
    Ended,
    Evaluation,
    Message,
    Nested,
    Occurrence,
    Progress,
    Row,
    RunEvent,
    Stage,
    Started,
    Step,
)
from trimtab.runtime.signals import StopOnSignal


class Words(Protocol):
    """Puts the rows of one kind of run into words."""

    def step(self, row: Row) -> str:
        """The figures of a step, which are shown next to the count."""
        ...

    def evaluation(self, row: Row) -> str:
        """An evaluation in one line."""
        ...

    def occurrence(self, row: Row) -> list[str]:
        """An event in lines; none for one that is not shown."""
        ...


class Display:
    """A consumer of events. Without a terminal, steps and progress give at most one line per `seconds`.

    `words` is needed for runs that emit steps. `on_start` is called when the work starts; from then on a request to stop ends it
    with a checkpoint.
    """

    def __init__(
        self,
        console: Console,
        words: Words | None = None,
        *,
        on_start: Callable[[], None] = lambda: None,
        seconds: float = 10.0,
    ) -> None:
        self.console = console
        self.worked = False
        """Whether a step or a run within this one was made."""
        self._words, self._on_start, self._seconds = words, on_start, seconds
        self._name, self._unit, self._status = "", "", ""
        self._done = 0
        self._total: int | None = None
        self._next_line = time.monotonic() + seconds
        self._printed: int | None = None
        """The count of the stage's last line."""
        self._stage_began, self._before = time.monotonic(), 0
        """When the stage began, and how many of its units were done before or took no time, because they were found done."""
        self._bar = Bar(
            TextColumn("[bold]{task.fields[name]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=None, name="", count="", status="", start=False)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._bar.stop()

    def __call__(self, event: RunEvent) -> None:
        """Show an event."""
        match event:
            case Started():
                self._on_start()
                self._begin(f"{event.unit}s", event.unit, event.total, event.done)
            case Stage():
                self._begin(event.name, event.unit, event.total, event.done)
                if not self.console.is_terminal:
                    count = "" if event.total is None else f": {counted(event.total, event.unit)}"
                    self._line(f"{event.name}{count}")
            case Progress():
                if event.stage != self._name:
                    self._begin(event.stage, event.unit, event.total, event.done)
                self._done, self._total = event.done, event.total
                self._count(line=event.unit != RUN, end=self._printed is not None)
            case Step():
                self.worked = True
                if event.stage is None:
                    self._done = int(event.row["step"])
                self._status = "" if self._words is None else self._words.step(event.row)
                self._count(end=True)
            case Evaluation() if self._words is not None:
                self._line(self._words.evaluation(event.row))
            case Occurrence() if self._words is not None:
                for line in self._words.occurrence(event.row):
                    self._line(line)
            case Message():
                self._line(event.text)
            case Nested():
                self._nested(event.title, event.event)

    def _nested(self, title: str, event: RunEvent) -> None:
        match event:
            case Ended():
                self.worked = True
                self._before += event.reused
                parts = [event.status, *(part for part in (event.headline, event.reason) if part)]
                reused = " (done before)" if event.reused else ""
                total = "" if self._total is None else f"/{self._total}"
                self._line(f"[{self._name} {self._done}{total}] {title}: {', '.join(parts)}{reused}{self._time_left()}")
            case Message():
                self._line(f"{title}: {event.text}")
            case Step() if self.console.is_terminal:
                stage = "" if event.stage is None else f"{event.stage} "
                self._status = f"{title}: {stage}step {event.row['step']}"
                self._count()

    def _begin(self, name: str, unit: str, total: int | None, done: int) -> None:
        self._name, self._unit, self._total, self._done, self._status, self._printed = name, unit, total, done, "", None
        self._stage_began, self._before = time.monotonic(), done
        self._bar.reset(self._task, total=total, completed=done, name=printable(name), count="", status="")
        self._count(line=False)

    def _count(self, *, line: bool = True, end: bool = False) -> None:
        """Show how much is done: in the bar, or as a line if one is due, or with `end` when the stage is at its end."""
        if self._total is None:
            count = ""
        elif self._unit == "byte":
            count = f"{self._done / max(1, self._total):.0%}"
        else:
            count = f"{self._done}/{self._total}"
        if self.console.is_terminal:
            self._bar.update(
                self._task, total=self._total, completed=self._done, count=count, status=printable(self._status)
            )
        elif line and (
            time.monotonic() >= self._next_line or (end and self._done == self._total and self._printed != self._done)
        ):
            self._next_line, self._printed = time.monotonic() + self._seconds, self._done
            name = self._unit if self._name == f"{self._unit}s" else self._name
            self._line("  ".join(part for part in (f"{name} {count}".rstrip(), self._status) if part))

    def _time_left(self) -> str:
        """How long the rest of the stage takes, by the units of it that took time."""
        made, left = self._done - self._before, 0 if self._total is None else self._total - self._done
        if made <= 0 or left <= 0:
            return ""
        seconds = (time.monotonic() - self._stage_began) / made * left
        return f" (about {seconds / 60:.0f} min left)" if seconds > 90 else f" (about {seconds:.0f} s left)"

    def _line(self, text: str) -> None:
        # A `Text`, so that nothing in it is read as markup or as an emoji's name.
        self.console.print(Text(printable(text)), soft_wrap=True)


def console_for(*, as_json: bool) -> Console:
    """Where a command shows its work: standard output, or standard error where that belongs to JSON."""
    return Console(stderr=as_json, soft_wrap=True)


@contextmanager
def showing(words: Words | None, *, as_json: bool, how_to_continue: str) -> Iterator[RunContext]:
    """A context for a run: its events are shown, and a signal ends it after a checkpoint.

    A second Ctrl-C, or one before the work has started, exits with the code of an interrupt and one line.
    """
    with (
        StopOnSignal(say_in_handler) as stop,
        Display(console_for(as_json=as_json), words, on_start=stop.arm) as display,
    ):
        try:
            yield RunContext(display, stop, ("trimtab", *sys.argv[1:]))
        except KeyboardInterrupt:
            done = f"What the last checkpoint holds is kept. {how_to_continue}"
            say(f"Stopped at once. {done}" if display.worked else "Stopped before the first step.", err=True)
            raise typer.Exit(stop.exit_code) from None
