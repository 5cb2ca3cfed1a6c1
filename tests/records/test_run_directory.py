import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from tests.records.runs import make_run, manifest, step, summary
from trimtab.errors import RunError
from trimtab.records import JsonlWriter, RunDirectory
from trimtab.records.lock import is_held

HOLD = textwrap.dedent(
    """
    import sys, time
    from trimtab.records import RunDirectory
    with RunDirectory(sys.argv[1]).lock():
        print("held", flush=True)
        time.sleep(60)
    """
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_is_made_and_locked(tmp_path):
    run = RunDirectory(tmp_path / "a" / "b")
    with run.create():
        assert is_held(run.lock_path)
        manifest().write(run.manifest_path)
    assert not is_held(run.lock_path)
    assert run.exists() and run.manifest() == manifest()


def test_an_empty_folder_will_do_and_so_will_a_killed_starts(tmp_path):
    (tmp_path / ".lock").write_text("123 host\n")
    (tmp_path / ".tmp-manifest.json-123").write_text("{")
    with RunDirectory(tmp_path).create():
        pass


def test_another_run_is_refused_with_what_to_do(tmp_path):
    make_run(tmp_path / "run", [step(1)])
    before = names(tmp_path / "run")
    with (
        pytest.raises(RunError, match=r"holds a run already \(20260101.*trimtab resume .*--out"),
        RunDirectory(tmp_path / "run").create(),
    ):
        pass
    (tmp_path / "run" / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="holds a run already"), RunDirectory(tmp_path / "run").create():
        pass
    assert names(tmp_path / "run") == before


def test_other_files_are_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(RunError, match=r"not empty: it holds \.hidden, thesis\.txt"), RunDirectory(tmp_path).create():
        pass
    assert names(tmp_path) == [".hidden", "thesis.txt"]
    with pytest.raises(RunError, match="is a file"), RunDirectory(tmp_path / "thesis.txt").create():
        pass
    with pytest.raises(RunError, match="Cannot make the folder"), RunDirectory(tmp_path / "thesis.txt" / "a").create():
        pass


def test_a_start_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="early"), RunDirectory(tmp_path / "run").create():
        raise ValueError("early")
    assert names(tmp_path) == []
    with pytest.raises(ValueError, match="late"), RunDirectory(tmp_path / "run").create():
        manifest().write(tmp_path / "run" / "manifest.json")
        raise ValueError("late")
    assert names(tmp_path / "run") == [".lock", "manifest.json"]


def test_a_start_that_is_withdrawn_leaves_nothing_and_keeps_a_folder_that_was_there(tmp_path):
    (tmp_path / "before").mkdir()
    for name in ("before", "new"):
        run = RunDirectory(tmp_path / name)
        with pytest.raises(ValueError, match="early"), run.create():
            manifest().write(run.manifest_path)
            for path in (run.steps_path, run.evaluations_path):
                path.touch()
            run.events_path.write_text("{}")
            (run.checkpoints_path / f".tmp-step-00000000-{os.getpid()}").mkdir(parents=True)
            run.withdraw()
            raise ValueError("early")
    assert names(tmp_path) == ["before"]
    with RunDirectory(tmp_path / "before").create():
        pass


@pytest.mark.parametrize("kept", ["steps.jsonl", "evaluations.jsonl", "summary.json", "checkpoints/step-00000001/x"])
def test_a_run_that_has_anything_to_go_on_from_is_not_withdrawn(tmp_path, kept):
    run = make_run(tmp_path / "run")
    (run.path / kept).parent.mkdir(parents=True, exist_ok=True)
    (run.path / kept).write_text("{}")
    before = sorted(run.path.rglob("*"))
    run.withdraw()
    assert sorted(run.path.rglob("*")) == before


def test_a_run_that_came_and_went_before_the_lock_is_refused_too(tmp_path, monkeypatch):
    run, other = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    lock = run.lock

    def late_lock():
        with other.create():
            manifest().write(other.manifest_path)
        return lock()

    monkeypatch.setattr(run, "lock", late_lock)
    with pytest.raises(RunError, match="holds a run already"), run.create():
        pass
    assert other.manifest() == manifest() and not is_held(run.lock_path)


def test_a_second_writer_is_refused_by_name_until_the_first_is_killed(tmp_path):
    run = make_run(tmp_path / "run")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert run.status() == "running"
        with pytest.raises(RunError, match=f"in use: process {process.pid} is writing"):
            run.lock()
        process.send_signal(signal.SIGKILL)
    assert run.status() == "interrupted"
    with run.lock():
        assert run.lock_path.read_text().split()[0] == str(os.getpid())
    assert run.lock_path.read_text() == ""


def test_the_same_process_cannot_lock_twice(tmp_path):
    run = make_run(tmp_path / "run")
    lock = run.lock()
    with pytest.raises(RunError, match=f"process {os.getpid()}"):
        run.lock()
    lock.release()
    lock.release()
    run.lock().release()


def test_a_forked_worker_that_outlives_its_killed_parent_holds_nothing(tmp_path):
    run = make_run(tmp_path / "run")
    program = textwrap.dedent(
        """
        import os, sys, time
        from trimtab.records import RunDirectory
        lock = RunDirectory(sys.argv[1]).lock()
        if os.fork() == 0:
            print("forked", os.getpid(), flush=True)
            time.sleep(60)
            os._exit(0)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE) as process:
        word, worker = process.stdout.readline().split()
        assert word == b"forked" and is_held(run.lock_path)  # the parent still holds it
        process.send_signal(signal.SIGKILL)
        process.wait()
        try:
            run.lock().release()
        finally:
            os.kill(int(worker), signal.SIGKILL)


def test_a_look_at_the_status_does_not_keep_a_writer_out(tmp_path):
    run = make_run(tmp_path / "run")
    with run.lock_path.open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)  # what `status` holds for an instant
        threading.Timer(0.1, fcntl.flock, [look, fcntl.LOCK_UN]).start()
        with run.lock():
            assert run.status() == "running"


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run")

    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError, match="has no file locks"):
        run.lock()
    assert run.status() == "interrupted"


def test_a_missing_run_cannot_be_locked(tmp_path):
    with pytest.raises(RunError, match="no such folder"):
        RunDirectory(tmp_path / "none").lock()
    assert names(tmp_path) == []


def test_status_and_summary(tmp_path):
    run = make_run(tmp_path / "run", ended=summary(status="diverged"))
    assert run.status() == "diverged"
    with run.lock():
        run.clear_summary()
        assert run.status() == "running"
    assert run.status() == "interrupted" and run.summary() is None
    run.clear_summary()


def test_readers(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.steps() == run.events() == run.evaluations() == []
    with JsonlWriter(run.steps_path) as writer:
        writer.write(step(1, train_loss=float("inf")))
    with run.steps_path.open("a") as file:
        file.write('{"step": 2, "tr')
    assert [row["train_loss"] for row in run.steps()] == [float("inf")]


@pytest.mark.parametrize(
    "row", ['{"train_loss": 1.0}', '{"step": "2"}', '{"step": 2, "attempt": "x"}', '{"step": true}']
)
def test_a_row_of_no_step_is_damage(tmp_path, row):
    (tmp_path / "steps.jsonl").write_text('{"step": 1}\n' + row + "\n")
    with pytest.raises(RunError, match=r"steps\.jsonl is damaged at line 2"):
        RunDirectory(tmp_path).steps()
