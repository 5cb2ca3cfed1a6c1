"""Worker processes: tasks, events and results as lines of JSON."""

import json
import os
import subprocess
from contextvars import Context
from pathlib import Path
from typing import Any

import psutil
import pytest

from trimtab.config import allowing_code
from trimtab.runtime.events import Message, OnEvent, Progress, RunEvent
from trimtab.runtime.workers import Pool, Worker

HERE = "tests.runtime.test_workers:work"


def work(task: dict[str, Any], on_event: OnEvent | None) -> dict[str, Any]:
    """What the workers of these tests do."""
    if task["do"] == "die":
        os._exit(1)
    if on_event is not None:
        on_event(Progress("sum", "number", 1, 2))
        on_event(Message(f"{task['number']} is added"))
    print("for the log")
    return {"sum": task["number"] + 1, "events": on_event is not None}


def results(pool: Pool, count: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    while len(result) < count:
        if (ended := pool.next(10)) is not None:
            result[ended[0]] = ended[1]
    return result


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_events_and_results_arrive_by_task_and_prints_go_to_the_log(tmp_path: Path) -> None:
    events: list[tuple[str, RunEvent]] = []
    pool = Pool(2, HERE, tmp_path / "log", lambda task_id, event: events.append((task_id, event)))
    pool.submit("a", {"do": "add", "number": 1})
    pool.submit("b", {"do": "add", "number": 2})
    assert results(pool, 2) == {"a": {"sum": 2, "events": True}, "b": {"sum": 3, "events": True}}
    pool.stop()
    assert sorted(events, key=lambda one: one[0]) == [
        ("a", Progress("sum", "number", 1, 2)),
        ("a", Message("1 is added")),
        ("b", Progress("sum", "number", 1, 2)),
        ("b", Message("2 is added")),
    ]
    assert (tmp_path / "log").read_text().count("for the log") == 2


def test_a_process_that_dies_gives_no_result_and_the_next_task_has_another_one(tmp_path: Path) -> None:
    pool = Pool(1, HERE, tmp_path / "log")
    pool.submit("dies", {"do": "die"})
    assert results(pool, 1) == {"dies": None}
    pool.submit("lives", {"do": "add", "number": 1})
    assert results(pool, 1) == {"lives": {"sum": 2, "events": False}}
    pool.stop()


def test_an_error_of_the_consumer_is_raised_where_the_results_are_taken(tmp_path: Path) -> None:
    def broken(task_id: str, event: RunEvent) -> None:
        raise ZeroDivisionError

    pool = Pool(1, HERE, tmp_path / "log", broken)
    pool.submit("a", {"do": "add", "number": 1})
    with pytest.raises(ZeroDivisionError):
        results(pool, 1)
    pool.stop()


def test_a_worker_receives_what_is_allowed_and_where_to_look() -> None:
    def start() -> Worker:
        with allowing_code(names=["a:B"]):
            return Worker(HERE, subprocess.DEVNULL)

    worker = Context().run(start)  # where nothing else is allowed
    try:
        command = psutil.Process(worker.process.pid).cmdline()
        terms = json.loads(command[-1])
        assert "-P" in command and terms["code"] == {"names": ["a:B"], "every": False}
        assert terms["parent"][0] == os.getpid()
    finally:
        worker.process.kill()
        worker.close()
