"""Signals that end a run after a checkpoint, in this process: each is sent with os.kill."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.training.small_runs import SMALL, options, started
from trimtab.records import RunDirectory
from trimtab.runtime.signals import StopOnSignal
from trimtab.training import resume

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_after_the_start_is_a_request(number: signal.Signals) -> None:
    lines: list[str] = []
    before = signal.getsignal(number)
    with StopOnSignal(lines.append) as stop:
        stop.arm()
        assert stop() is None
        os.kill(os.getpid(), number)
        assert stop() is not None
        assert stop.exit_code == 128 + number
    assert len(lines) == 1 and "checkpoint" in lines[0] and "Ctrl-C" in lines[0]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_before_the_start_every_signal_interrupts(number: signal.Signals) -> None:
    lines: list[str] = []
    with StopOnSignal(lines.append) as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    assert stop.exit_code == 128 + number
    assert lines == []


def test_a_second_signal_from_the_keyboard_interrupts_and_another_changes_nothing() -> None:
    with StopOnSignal() as stop:
        stop.arm()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.exit_code == 128 + signal.SIGTERM


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopOnSignal() as stop:
            stop.arm()
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_outer_request_is_told_by_an_inner_one() -> None:
    with StopOnSignal() as outer:
        outer.arm()
        with StopOnSignal() as inner:
            inner.arm()
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner() == outer() == "SIGTERM"
    assert outer.exit_code == 143


@pytest.mark.slow
def test_a_run_that_a_signal_ends_has_a_checkpoint_and_the_signals_code(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        out = tmp_path / number.name
        process = started("train", *options([*SMALL, "episode.steps=100000"]), "--out", str(out))
        while process.poll() is None and not (out / "steps.jsonl").exists():
            time.sleep(0.05)
        process.send_signal(number)
        done = process.finish(120)
        assert done.returncode == 128 + number, done.stderr
        assert "with a checkpoint" in done.stderr and f"trimtab resume {out}" in done.stderr
        steps = len(RunDirectory(out).steps())
        assert resume(out, [f"episode.steps={steps + 2}"], accept_changes=True)["steps"] == steps + 2
