"""How a run in a folder starts."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_runs import DECODER, config, weights
from trimtab.records import RunDirectory
from trimtab.runtime.events import Ended, Evaluation, Occurrence, RunEvent, Started, Step
from trimtab.training import RunContext, resume, train


def failing_at(kind: type[RunEvent]) -> RunContext:
    """A context whose consumer raises at the first event of a type."""

    def consume(event: RunEvent) -> None:
        if isinstance(event, kind):
            raise MemoryError

    return RunContext(consume)


@pytest.mark.parametrize("kind", [Started, Occurrence])
def test_a_start_that_fails_before_its_first_step_can_be_tried_again(tmp_path: Path, kind: type[RunEvent]) -> None:
    settings = config("episode.steps=2", base=DECODER)
    for _ in range(2):
        with pytest.raises(MemoryError):
            train(settings, tmp_path / "run", failing_at(kind))
        assert list(tmp_path.iterdir()) == []
    result: dict[str, Any] = train(settings, tmp_path / "run")
    assert result["status"] == "completed"


def test_a_run_that_made_a_step_is_kept(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        train(config("episode.steps=2", base=DECODER), tmp_path / "run", failing_at(Step))
    assert len(RunDirectory(tmp_path / "run").steps()) == 1


def test_the_events_are_the_records_and_a_consumer_that_changes_them_changes_nothing(tmp_path: Path) -> None:
    settings = config("episode.steps=4", "episode.evaluate_every=2", base=DECODER)
    events: list[RunEvent] = []

    def consume(event: RunEvent) -> None:
        events.append(deepcopy(event))
        if isinstance(event, Step | Evaluation | Occurrence):
            event.row.clear()

    changed = train(settings, tmp_path / "changed", RunContext(consume))
    assert changed["weights_sha256"] == train(settings, tmp_path / "plain")["weights_sha256"]
    folder = tmp_path / "changed"
    for kind, name in ((Step, "steps"), (Evaluation, "evaluations"), (Occurrence, "events")):
        lines = (folder / f"{name}.jsonl").read_text().splitlines()
        assert [one.row for one in events if isinstance(one, kind)] == [json.loads(line) for line in lines] != []
    assert Started("training", str(folder), "step", 4) in events
    assert isinstance(events[-1], Ended) and events[-1].figures["val_loss"] == changed["val_loss"]


def test_a_paused_run_that_is_killed_before_its_summary_makes_no_further_step(tmp_path: Path) -> None:
    paused, later = RunContext(until=6), tmp_path / "later"
    assert train(config(), tmp_path / "run", paused)["steps"] == 6
    (tmp_path / "run" / "summary.json").unlink()
    result = resume(tmp_path / "run", context=paused)
    assert (result["status"], result["steps"]) == ("interrupted", 6)
    assert len(RunDirectory(tmp_path / "run").steps()) == 6
    resume(tmp_path / "run")
    train(config(), later)
    assert weights(tmp_path / "run") == weights(later)
