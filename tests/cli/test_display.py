"""How the events of a run are shown: plain lines, and a bar on a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from trimtab.cli.display import Display
from trimtab.cli.training_words import TrainingWords
from trimtab.runtime.events import (
    RUN,
    Ended,
    Evaluation,
    Message,
    Nested,
    Occurrence,
    Progress,
    RunEvent,
    Stage,
    Started,
    Step,
)


def shown(*events: RunEvent, terminal: bool = False, seconds: float = 0.0, **options: Any) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=200, color_system=None)
    with Display(console, TrainingWords(), seconds=seconds, **options) as display:
        for event in events:
            display(event)
    return stream.getvalue().splitlines()


def step(number: int, loss: float | str = 1.5) -> Step:
    return Step({"step": number, "loss_ema": loss, "tokens": number * 100, "seconds": 0.5})


def regime(number: int, before: str, after: str) -> Occurrence:
    return Occurrence({"step": number, "kind": "regime", "reason": "why", "before": before, "after": after})


def evaluation(number: int) -> Evaluation:
    return Evaluation({"step": number, "val_loss": 2.0, "val_accuracy": 0.25})


def test_steps_give_a_line_when_it_is_due_and_at_the_last_step() -> None:
    started = Started("training", "run", "step", 3)
    assert shown(started, step(1), step(2), evaluation(2), step(3)) == [
        "step 1/3  loss 1.5000",
        "step 2/3  loss 1.5000  200 tokens/s",
        "step 2: validation loss 2.0000, accuracy 0.250",
        "step 3/3  loss 1.5000  validation 2.0000  200 tokens/s",
    ]
    assert shown(started, step(1), step(2), step(3, "nan"), seconds=1e9) == ["step 3/3  loss nan  200 tokens/s"]


def test_changes_of_regime_are_summarised_with_the_next_evaluation_and_a_divergence_is_shown_at_once() -> None:
    names = ["warming", "stable", "plateau", "stable", "unstable"]
    changes = [regime(n, before, after) for n, (before, after) in enumerate(zip(names, names[1:], strict=False), 1)]
    assert shown(changes[0], evaluation(1), *changes[1:3], evaluation(3), evaluation(4)) == [
        "step 1: validation loss 2.0000, accuracy 0.250; regime: warming → stable",
        "step 3: validation loss 2.0000, accuracy 0.250; regime: stable → plateau → stable",
        "step 4: validation loss 2.0000, accuracy 0.250",
    ]
    assert shown(*changes, evaluation(9))[0].endswith("regime: warming → … → unstable (4 changes)")
    assert shown(regime(5, "unstable", "diverged")) == ["step 5: regime: unstable → diverged: why"]


def test_an_experiment_counts_the_runs_of_each_stage_and_shows_how_they_ended() -> None:
    lines = shown(
        Started("experiment", "e", "episode"),
        Stage("tuning", RUN, 2),
        Progress("tuning", RUN, 1, 2),
        Nested("tuning/a", "a, seed 0", Ended("completed", headline="validation loss 1.5", reused=True)),
        Nested("tuning/b", "b, seed 0", Message("lost: its worker process died")),
        Nested("tuning/b", "b, seed 0", step(1)),
        Progress("tuning", RUN, 2, 2),
        Nested("tuning/b", "b, seed 0", Ended("failed", "no memory")),
    )
    assert lines == [
        "tuning: 2 runs",
        "[tuning 1/2] a, seed 0: completed, validation loss 1.5 (done before)",
        "b, seed 0: lost: its worker process died",
        "[tuning 2/2] b, seed 0: failed, no memory",
    ]


def test_the_time_left_follows_from_the_units_that_took_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 0.0, *[30.0] * 20])
    monkeypatch.setattr("trimtab.cli.display.time.monotonic", lambda: next(clock))
    found = [Progress("trials", RUN, 3, 8), Nested("1", "trial 1", Ended("completed", reused=True))]
    run = [Progress("trials", RUN, 5, 8), Nested("2", "trial 2", Ended("completed"))]
    lines = shown(Stage("trials", RUN, 8, 2), *found, *run)
    assert lines[1:] == [
        "[trials 3/8] trial 1: completed (done before)",
        "[trials 5/8] trial 2: completed (about 45 s left)",  # two trials in 30 s, and three are left
    ]


def test_a_stage_of_unknown_length_is_counted_without_a_total() -> None:
    events = [
        Stage("trials", RUN, None, 5),
        Progress("trials", RUN, 6, None),
        Nested("1", "trial 1", Ended("completed")),
    ]
    assert shown(*events) == ["trials", "[trials 6] trial 1: completed"]


def test_the_reading_of_a_corpus_is_shown_in_percent_before_the_run_starts() -> None:
    begun: list[bool] = []
    reading = Progress("reading the corpus", "byte", 1, 4)
    assert shown(reading, on_start=lambda: begun.append(True)) == ["reading the corpus 25%"] and not begun
    shown(reading, Started("training", "run", "step", 1), on_start=lambda: begun.append(True))
    assert begun == [True]


def test_a_stage_that_was_counted_is_counted_to_its_end() -> None:
    counts = [Progress("leaks", "block", done, 3) for done in (1, 2, 3)]
    assert shown(Stage("leaks", "block"), *counts) == ["leaks", "leaks 1/3", "leaks 2/3", "leaks 3/3"]
    assert shown(Stage("leaks", "block"), *counts, seconds=1e9) == ["leaks"]


def test_a_terminal_has_a_bar_with_the_count_and_no_text_can_change_its_layout() -> None:
    started = Started("training", "run", "step", 4)
    lines = shown(started, step(1), Message("a\x1b[31m [bold]b[/bold]"), step(3), terminal=True)
    assert any("3/4" in line and "loss 1.5000" in line for line in lines)
    assert any("a\\x1b[31m [bold]b[/bold]" in line for line in lines)


@pytest.mark.parametrize("event", [step(1), Nested("a", "a", Ended("completed"))])
def test_a_display_knows_whether_anything_was_done(event: RunEvent) -> None:
    display = Display(Console(file=io.StringIO()), TrainingWords())
    display(Started("training", "run", "step", 1))
    assert not display.worked
    display(event)
    assert display.worked
