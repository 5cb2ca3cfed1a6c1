import json
import logging
import math
import shutil
import sqlite3

import pytest

from tests.records.runs import make_run, parent, step, summary
from trimtab.errors import RunError
from trimtab.records import JsonlWriter, find, ledger, runs
from trimtab.records.run_directory import INDEX_NAME


@pytest.fixture
def folder(tmp_path):
    evaluations = [{"step": 2, "val_loss": 2.5}]
    make_run(
        tmp_path / "b", [step(1), step(2)], evaluations, run_id="20260102-000000-bbbbbbbb", created_at="2026-01-02"
    )
    make_run(
        tmp_path / "exp" / "episodes" / "arm" / "seed-0",
        ended=summary(),
        run_id="20260101-000000-aaaaaaaa",
        created_at="2026-01-01",
        seed=7,
        parent=parent("older", 5),
    )
    return tmp_path


def test_rows_say_what_the_runs_say(folder):
    first, second = runs(folder)
    assert (first.path, first.run_id, first.status) == (
        "exp/episodes/arm/seed-0",
        "20260101-000000-aaaaaaaa",
        "completed",
    )
    assert (first.steps, first.val_loss, first.seconds, first.seed, first.parent) == (3, 1.5, 12.5, 7, "older")
    assert (first.data, first.model, first.config_hash) == ("corpus", "decoder", "c0ffee")
    # killed: what its last rows say
    assert (second.path, second.status, second.steps, second.val_loss, second.seconds) == (
        "b",
        "interrupted",
        2,
        2.5,
        None,
    )
    assert first.directory.manifest().seed == 7


def test_the_index_is_a_view(folder):
    before = runs(folder)
    assert (folder / INDEX_NAME).exists()
    assert runs(folder) == before
    (folder / INDEX_NAME).unlink()
    assert runs(folder) == before


def test_only_changed_runs_are_read_again(folder, monkeypatch):
    runs(folder)
    read = []
    original = ledger._read_run
    monkeypatch.setattr(ledger, "_read_run", lambda base, path: read.append(path.name) or original(base, path))
    runs(folder)
    assert read == []
    with JsonlWriter(folder / "b" / "steps.jsonl") as writer:
        writer.write(step(3))
    make_run(folder / "new", run_id="20260103-000000-cccccccc", created_at="2026-01-03")
    shutil.rmtree(folder / "exp")
    assert [(row.path, row.steps) for row in runs(folder)] == [("b", 3), ("new", 0)]
    assert sorted(read) == ["b", "new"]


def test_a_running_run_is_seen_at_once(folder):
    runs(folder)
    _, second = runs(folder)
    with second.directory.lock():
        assert [row.status for row in runs(folder)] == ["completed", "running"]
    assert [row.status for row in runs(folder)] == ["completed", "interrupted"]


def test_checkpoints_exports_and_hidden_folders_are_not_searched(folder):
    for name in ("checkpoints", "exports", ".trash-x-1"):
        shutil.copytree(folder / "exp" / "episodes" / "arm" / "seed-0", folder / "b" / name / "copy")
    assert len(runs(folder)) == 2


def test_a_non_finite_loss_survives_the_index(folder):
    make_run(folder / "nan", ended=summary(metrics={"val_loss": math.nan}), created_at="2026-01-09")
    runs(folder)
    assert math.isnan(runs(folder)[-1].val_loss)


def test_a_damaged_run_is_listed_as_such_and_a_foreign_manifest_not(folder):
    (folder / "b" / "manifest.json").write_text("{")
    (folder / "app").mkdir()
    (folder / "app" / "manifest.json").write_text(json.dumps({"name": "web app"}))
    assert [(row.path, row.status) for row in runs(folder)] == [
        ("b", "damaged"),
        ("exp/episodes/arm/seed-0", "completed"),
    ]


@pytest.mark.parametrize("damage", ["text", "pages", "schema"])
def test_a_corrupt_index_is_rebuilt(folder, caplog, damage):
    before = runs(folder)
    index = folder / INDEX_NAME
    if damage == "text":
        index.write_text("this is no database at all" * 100)
    elif damage == "pages":
        index.write_bytes(index.read_bytes()[:100] + b"\xff" * (index.stat().st_size - 100))
    else:
        with sqlite3.connect(index) as connection:
            connection.execute("DROP TABLE runs")
            connection.execute("CREATE TABLE runs (path, other)")
            connection.execute("PRAGMA user_version = 0")
        connection.close()
    with caplog.at_level(logging.WARNING):
        assert runs(folder) == before
    assert ("has been rebuilt" in caplog.text) == (damage != "schema")
    caplog.clear()
    assert runs(folder) == before and not caplog.text


def test_without_a_place_for_an_index_the_list_is_made_in_memory(folder):
    before = runs(folder)
    (folder / INDEX_NAME).unlink()
    (folder / INDEX_NAME).mkdir()  # nothing can be written under this name, not even by root
    assert runs(folder) == before


def test_a_folder_that_is_itself_a_run(folder):
    assert [row.path for row in runs(folder / "b")] == ["."]


def test_find(folder, monkeypatch):
    assert find(folder, "20260101").path == "exp/episodes/arm/seed-0"
    assert find(folder, "b").run_id == "20260102-000000-bbbbbbbb"
    assert find(folder, str(folder / "b")).directory.path == folder / "b"
    monkeypatch.chdir(folder)
    assert find("elsewhere", "b").steps == 2  # a path needs no folder of runs
    with pytest.raises(RunError, match="means 2 runs"):
        find(folder, "2026")
    with pytest.raises(RunError, match="Near: 20260101-000000-aaaaaaaa"):
        find(folder, "20260101-000000-aaaabaaa")
    with pytest.raises(RunError, match="No run under"):
        find(folder, "")
    with pytest.raises(RunError, match="no folder"):
        find(folder / "none", "zzz")
