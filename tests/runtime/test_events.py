"""Events of runs."""

import json

import pytest

from trimtab.runtime import events
from trimtab.runtime.events import (
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
    Thinned,
    from_plain,
    to_plain,
)

ROW = {"step": 3, "train_loss": "nan", "observers": {"mine": [1.5, None]}}
EVENTS: list[RunEvent] = [
    Started("training", "runs/a", "step", 10, 3),
    Stage("joint", "pair", 5),
    Progress("joint", "pair", 2, 5),
    Step(ROW, "joint"),
    Evaluation(ROW),
    Occurrence(ROW),
    Message("a sentence"),
    Ended("failed", "no memory", reused=True, figures={"val_loss": 1.0}),
]


@pytest.mark.parametrize("event", [*EVENTS, *(Nested("episodes/a", "a", event) for event in EVENTS)])
def test_an_event_is_the_same_after_it_crossed_a_pipe(event: RunEvent) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(event)))) == event


def test_steps_are_thinned_and_everything_else_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now, passed = [100.0], list[RunEvent]()
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    thinned = Thinned(passed.append, seconds=1.0)
    for second in (0.0, 0.4, 0.9, 1.0, 1.5):
        now[0] = 100.0 + second
        thinned(Step({"step": second}))
        thinned(Message(str(second)))
    assert [one.row["step"] for one in passed if isinstance(one, Step)] == [0.0, 1.0]
    assert len([one for one in passed if isinstance(one, Message)]) == 5
