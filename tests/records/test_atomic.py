import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trimtab.errors import WorkError
from trimtab.records import (
    atomic_directory,
    clean_leftovers,
    remove_tree_atomically,
    write_bytes,
    write_json,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_files_are_written_and_replaced_without_traces(tmp_path):
    write_bytes(tmp_path / "a", b"1")
    write_bytes(tmp_path / "a", b"22")
    write_text(tmp_path / "b", "é")
    write_json(tmp_path / "c", {"x": math.nan, "s": "\ud800"})
    assert (tmp_path / "a").read_bytes() == b"22"
    assert (tmp_path / "b").read_text(encoding="utf-8") == "é"
    assert json.loads((tmp_path / "c").read_text()) == {"x": "nan", "s": "\ud800"}
    assert names(tmp_path) == ["a", "b", "c"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    program = textwrap.dedent(
        """
        import resource, sys
        from trimtab.errors import WorkError
        from trimtab.records import write_bytes
        write_bytes(sys.argv[1], b"old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_bytes(sys.argv[1], b"n" * 5000)
        except WorkError as error:
            sys.exit(str(error))
        """
    )
    path = tmp_path / "a"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and str(path) in done.stderr and "size limit" in done.stderr
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder_is_a_work_error(tmp_path):
    with pytest.raises(WorkError, match="Could not write"):
        write_text(tmp_path / "none" / "a", "x")


def test_a_value_that_json_cannot_hold_writes_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a", {"x": object()})
    assert names(tmp_path) == []


def test_a_directory_appears_whole(tmp_path):
    target = tmp_path / "step-1"
    with atomic_directory(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")
        assert folder.name == f".tmp-step-1-{os.getpid()}"
        assert not target.exists()
    assert (target / "sub" / "a").read_text() == "1"
    assert names(tmp_path) == ["step-1"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file a descriptor is")
def test_everything_is_on_the_disk_before_the_rename_and_the_rename_after(tmp_path, monkeypatch):
    synced = []  # what was synced, and whether the target stood then
    fsync, target = os.fsync, tmp_path / "step-1"

    def record(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path).as_posix()
        synced.append((name, target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    with atomic_directory(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")
        (folder / "b").write_text("1")
    inside = [folder.name, *(f"{folder.name}/{name}" for name in ("b", "sub", "sub/a"))]
    assert sorted(synced[:-1]) == [(name, False) for name in inside]
    assert synced[-1] == (".", True)
    synced.clear()
    target = tmp_path / "c"
    write_text(target, "x")
    assert synced == [(f".tmp-c-{os.getpid()}", False), (".", True)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_directory_leaves_nothing(tmp_path, error):
    with pytest.raises(error), atomic_directory(tmp_path / "step-1") as folder:
        (folder / "a").write_text("1")
        raise error
    assert names(tmp_path) == []


def test_a_full_disk_inside_a_directory_is_a_work_error(tmp_path):
    with pytest.raises(WorkError, match=r"step-1: the disk is full"), atomic_directory(tmp_path / "step-1") as folder:
        (folder / "a").write_text("1")
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


def test_an_existing_target_is_replaced_only_when_asked(tmp_path):
    target = tmp_path / "view"
    for text in ("1", "2"):
        with atomic_directory(target, replace=True) as folder:
            (folder / text).write_text(text)
    assert names(target) == ["2"]
    with pytest.raises(FileExistsError), atomic_directory(target):
        pass
    with pytest.raises(ValueError, match="x"), atomic_directory(target, replace=True):
        raise ValueError("x")
    assert names(target) == ["2"] and names(tmp_path) == ["view"]


def test_a_dead_namesake_is_in_nobodys_way(tmp_path):
    # in a container every process may have the same pid
    leftover = tmp_path / f".tmp-step-1-{os.getpid()}"
    leftover.mkdir()
    (leftover / "stale").write_text("1")
    with atomic_directory(tmp_path / "step-1") as folder:
        (folder / "a").write_text("1")
    assert names(tmp_path / "step-1") == ["a"]


def test_removal(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("1")
    (tmp_path / "c").write_text("1")
    remove_tree_atomically(tmp_path / "a")
    remove_tree_atomically(tmp_path / "c")
    assert names(tmp_path) == []
    with pytest.raises(WorkError):
        remove_tree_atomically(tmp_path / "a")


def test_leftovers_of_the_dead_go_and_others_stay(tmp_path):
    dead, alive = dead_pid(), os.getppid()
    for name in (f".tmp-a-{dead}", f".trash-b-c-{dead}", f".tmp-d-{alive}", "step-1", ".tmp-notes", f"tmp-x-{dead}"):
        (tmp_path / name).mkdir()
    (tmp_path / f".tmp-file-{dead}").write_text("x")
    with atomic_directory(tmp_path / "own") as own:
        removed = clean_leftovers(tmp_path)
        assert own.exists()
    assert sorted(path.name for path in removed) == sorted(
        [f".tmp-a-{dead}", f".tmp-file-{dead}", f".trash-b-c-{dead}"]
    )
    assert names(tmp_path) == sorted([".tmp-notes", f".tmp-d-{alive}", "own", "step-1", f"tmp-x-{dead}"])
    assert clean_leftovers(tmp_path / "none") == []


def test_a_replacement_that_never_came_is_undone(tmp_path):
    dead = dead_pid()
    for name in (f".old-gone-{dead}", f".old-there-{dead}", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "from").write_text(name)
    clean_leftovers(tmp_path)
    assert names(tmp_path) == ["gone", "there"]
    assert (tmp_path / "gone" / "from").read_text() == f".old-gone-{dead}"
    assert (tmp_path / "there" / "from").read_text() == "there"


def test_a_kill_in_mid_write_leaves_only_leftovers(tmp_path):
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from trimtab.records import atomic_directory
        with atomic_directory(Path(sys.argv[1]) / "step-1") as folder:
            (folder / "a").write_text("half")
            print("writing", flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        assert clean_leftovers(tmp_path) == []  # its writer lives
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == [f".tmp-step-1-{process.pid}"]
    clean_leftovers(tmp_path)
    assert names(tmp_path) == []
