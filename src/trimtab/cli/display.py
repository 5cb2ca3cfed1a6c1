"""How a run goes, for a person: a progress bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from trimtab.boundary import printable
from trimtab.cli.task_eval_words import task_eval_words

Row = Mapping[str, Any]

_QUIET_EVENTS = {"checkpoint"}


class RunDisplay:
    """Shows steps, evaluations and events. On a terminal: one bar; piped: a line at most every `seconds` seconds.

    `begun` is called when the first step is about to be made.
    """

    def __init__(self, console: Console, *, seconds: float = 10.0, begun: Callable[[], None] = lambda: None) -> None:
        self.console = console
        self.steps = 0
        self.stepped = False
        """Whether a step was made."""
        self._begun = begun
        self.seconds = seconds
        self._validation = ""
        self._last_line = time.monotonic()
        self._tokens = self._time = 0.0
        self._speed: float | None = None
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("[bold]step"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[validation]}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=False,
        )

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
            self._task = self._bar.add_task("train", total=None, loss="-", validation="", speed="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._bar.stop()

    def begin(self, steps: int) -> None:
        """The run goes up to step `steps`."""
        self._begun()
        self.steps = steps
        if self._task is not None:
            self._bar.update(self._task, total=steps)

    def step(self, row: Row) -> None:
        """A step was made."""
        self.stepped = True
        step = int(row["step"])
        self._measure(row)
        loss = f"{float(row['loss_ema']):.4f}"
        speed = f"{self._speed:,.0f} tokens/s" if self._speed else ""
        if self._task is not None:
            self._bar.update(self._task, completed=step, loss=loss, validation=self._validation, speed=speed)
        elif step == self.steps or time.monotonic() - self._last_line >= self.seconds:
            self._last_line = time.monotonic()
            self._line(f"step {step}/{self.steps}  loss {loss}  {self._validation}  {speed}")

    def event(self, row: Row) -> None:
        """Something was decided or happened."""
        if row["kind"] == "data":
            for fact in row["after"]:
                self._line(f"data: {fact}")
        elif row["kind"] not in _QUIET_EVENTS and row["kind"] != "end":
            kind = row["kind"] if row["kind"] != "regime" else f"regime: {row['before']} → {row['after']}"
            self._line(f"step {row['step']}: {kind}: {row['reason']}")

    def evaluation(self, row: Row) -> None:
        """The model was evaluated."""
        self._validation = f"validation {float(row['val_loss']):.4f}"
        text = f"step {row['step']}: validation loss {float(row['val_loss']):.4f}, accuracy {float(row['val_accuracy']):.3f}"
        if row.get("task_eval") is not None:
            text += f"; {task_eval_words(row['task_eval'])}"
        sample = row.get("sample")
        if sample is not None:
            figures = sample["figures"]
            shown = ", ".join(
                f"{name} {value:.2f}"
                for name, value in (
                    ("dictionary words", figures["dictionary_word_share"]),
                    ("entropy", figures["character_entropy"]),
                    ("repetition", figures["repetition_4"]),
                )
                if value is not None
            )
            text += f"; sample: {shown}" if shown else ""
        self._line(text)

    def _line(self, text: str) -> None:
        _print(self.console, text)

    def _measure(self, row: Row) -> None:
        tokens, self._tokens = float(row["tokens"]) - self._tokens, float(row["tokens"])
        seconds = float(row["seconds"])
        if seconds > 0 and tokens > 0 and self._time:
            now = tokens / seconds
            self._speed = now if self._speed is None else 0.9 * self._speed + 0.1 * now
        self._time += seconds


class EncodingDisplay:
    """Shows how far the encoding of a corpus is, once it takes longer than a moment."""

    def __init__(self, console: Console, *, seconds: float = 2.0) -> None:
        self.console = console
        self._next = time.monotonic() + seconds
        self._every = seconds

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` units of a phase are done."""
        if time.monotonic() >= self._next and total:
            self._next = time.monotonic() + self._every
            _print(self.console, f"corpus: {what} {done / total:.0%}")


def _print(console: Console, text: str) -> None:
    """One line above the bar: no markup, emoji names or control characters of the text are taken for anything else."""
    console.print(Text(printable(text)), soft_wrap=True)
