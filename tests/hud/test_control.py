"""Starting, stopping and killing real runs from the screen's process, and the refusals when a lock and a process do not fit."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.errors import RunError, WorkError
from trimtab.hud import control
from trimtab.hud.actions import resume_command
from trimtab.records import RunDirectory
from trimtab.records.lock import RunLock, is_held

TINY = [
    "--set", "threads=1", "--set", "data.context=16", "--set", "data.stride=16", "--set", "model.layers=1", "--set", "model.width=16",
    "--set", "model.heads=2", "--set", "model.ff=16", "--set", "episode.batch_size=2", "--set", "episode.precision=fp32",
    "--set", "episode.evaluate_every=100000", "--set", "episode.checkpoint_every=100000", "--set", "episode.sample.tokens=0",
]  # fmt: skip


def wait_for(what: object, seconds: float = 120.0) -> None:
    """Wait until a function is true."""
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def rows(folder: Path) -> int:
    path = folder / "steps.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture
def other_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any run, and ends at the first signal."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_no_signal_is_sent_to_a_process_that_only_has_the_number(
    tmp_path: Path, other_process: subprocess.Popen[bytes]
) -> None:
    """The lock is held by this process, but its text names another one, as after a number was given out again: 100 trials."""
    with RunLock(tmp_path / ".lock"):
        for _ in range(100):
            (tmp_path / ".lock").write_text(f"{other_process.pid} {socket.gethostname()}\n")
            with pytest.raises(RunError, match="is not the one that writes"):
                control.kill(tmp_path)
    assert other_process.poll() is None


def test_no_signal_is_sent_for_a_run_of_another_host(tmp_path: Path, other_process: subprocess.Popen[bytes]) -> None:
    with RunLock(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text(f"{other_process.pid} elsewhere\n")
        with pytest.raises(RunError, match="on elsewhere. Stop it there"):
            control.kill(tmp_path)
    assert other_process.poll() is None


def test_no_signal_is_sent_where_nobody_holds_the_lock(tmp_path: Path, other_process: subprocess.Popen[bytes]) -> None:
    for text in (f"{other_process.pid} {socket.gethostname()}\n", "", "not a number\n"):
        (tmp_path / ".lock").write_text(text)
        with pytest.raises(RunError, match="No process is writing"):
            control.stop(tmp_path)
    assert other_process.poll() is None


def test_an_ended_process_is_named(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with RunLock(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text(f"{ended.pid} {socket.gethostname()}\n")
        with pytest.raises(RunError):
            control.stop(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="Cannot make the folder"):
        control.hud_folder(tmp_path / "file")


def test_only_files_of_the_process_itself_count_as_open(tmp_path: Path) -> None:
    path = tmp_path / "open"
    with path.open("w"):
        assert control._has_open(os.getpid(), path)
    assert not control._has_open(os.getpid(), path)


@pytest.mark.slow
def test_a_stopped_run_has_a_checkpoint_and_resumes_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    runs = tmp_path
    whole, stopped = runs / "whole", runs / "stopped"
    length = ["--set", "episode.steps=600"]
    control.start(["train", *TINY, *length, "--out", str(stopped)], runs, "stopped")
    wait_for(lambda: rows(stopped) > 20)
    control.stop(stopped)
    wait_for(lambda: not is_held(stopped / ".lock"))
    run = RunDirectory(stopped)
    assert run.status() == "interrupted"
    assert rows(stopped) < 600
    assert list(run.checkpoints_path.iterdir())
    control.start(resume_command(stopped, runs), runs, "resumed")
    wait_for(lambda: run.summary() is not None and run.status() == "completed")
    control.start(["train", *TINY, *length, "--out", str(whole)], runs, "whole")
    wait_for(lambda: whole.exists() and RunDirectory(whole).summary() is not None)
    one, other = RunDirectory(whole).summary(), run.summary()
    assert one is not None
    assert other is not None
    assert one.weights_sha256 == other.weights_sha256
    assert RunDirectory(whole).manifest().config_hash == run.manifest().config_hash
    wait_for(lambda: control.reap() is None and not control._STARTED)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_a_run_outlives_the_process_that_started_it(tmp_path: Path, end: signal.Signals) -> None:
    """The starter is the leader of a session with a terminal of its own, which closes when it is killed."""
    folder = tmp_path / "run"
    command = ["train", *TINY, "--set", "episode.steps=300", "--out", str(folder)]
    code = f"import time; from pathlib import Path; from trimtab.hud import control; control.start({command!r}, Path({str(tmp_path)!r}), 'run'); time.sleep(600)"
    master, terminal = os.openpty()
    starter = subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    wait_for(lambda: rows(folder) > 5)
    starter.send_signal(end)
    starter.wait()
    os.close(master)
    wait_for(lambda: RunDirectory(folder).summary() is not None)
    assert RunDirectory(folder).status() == "completed"
    assert rows(folder) == 300
