"""Whoever holds the lock of a folder writes below that folder and nowhere else."""

import os
from pathlib import Path

import pytest

from tests.records.runs import make_run, step, summary
from trimtab.errors import RunError
from trimtab.records import RunDirectory, RunLock, export_csv
from trimtab.records.lock import is_held
from trimtab.reports.curves import loss_curve


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's own with a file in it, which nothing may change."""
    folder = tmp_path / "mine"
    (folder / "deeper").mkdir(parents=True)
    (folder / "file").write_text("precious")
    (folder / ".tmp-x-999999999").write_text("precious")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() if path.is_file() else "" for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(
    "name",
    [".lock", "steps.jsonl", "summary.json", "checkpoints", "plots", "exports", "a/b/c", "stages/joint", "anything"],
)
@pytest.mark.parametrize("to", ["file", "deeper", "none"])
def test_a_link_at_any_depth_keeps_the_lock_from_being_taken(tmp_path: Path, mine: Path, name: str, to: str) -> None:
    run = make_run(tmp_path / "run", [step(1)])
    link = run.path / name
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(mine / to)
    before = contents(mine)
    with pytest.raises(RunError, match="symbolic link") as error, run.lock():
        pass
    assert str(link) in str(error.value) and "\n" not in str(error.value)
    assert contents(mine) == before and not (mine / "none").exists()


def test_the_path_to_a_run_may_be_a_link_of_the_users_own(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with RunDirectory(tmp_path / "link").lock():
        assert is_held(tmp_path / "run" / ".lock")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_fifo_or_a_folder_in_the_place_of_the_lock_is_refused_at_once(tmp_path: Path, make: object) -> None:
    make(tmp_path / ".lock")
    assert not is_held(tmp_path / ".lock")
    with pytest.raises(RunError, match="Nothing was written to"):
        RunLock(tmp_path / ".lock")


@pytest.mark.parametrize("name", ["exports", "exports/csv"])
def test_an_export_follows_no_link_below_the_run(tmp_path: Path, mine: Path, name: str) -> None:
    run = make_run(tmp_path / "run", [step(1)])
    (run.path / name).parent.mkdir(exist_ok=True)
    (run.path / name).symlink_to(mine / "deeper")
    before = contents(mine)
    with pytest.raises(RunError, match="symbolic link"):
        export_csv(run)
    assert contents(mine) == before


def test_an_export_may_go_where_a_link_of_the_users_own_leads(tmp_path: Path, mine: Path) -> None:
    run = make_run(tmp_path / "run", [step(1)])
    (tmp_path / "out").symlink_to(mine / "deeper")
    export_csv(run, tmp_path / "out")
    assert (mine / "deeper" / "steps.csv").is_file() and (tmp_path / "out").is_symlink()


def test_plots_follow_no_link_below_the_run(tmp_path: Path, mine: Path) -> None:
    run = make_run(tmp_path / "run", [step(1), step(2)], ended=summary())
    run.plots_path.symlink_to(mine)
    before = contents(mine)
    with pytest.raises(RunError, match="symbolic link"):
        loss_curve(run)
    assert contents(mine) == before
