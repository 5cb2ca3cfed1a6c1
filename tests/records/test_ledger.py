import json
import math
import os
import shutil

import pytest

from tests.records.runs import make_run, parent, step, summary
from trimtab.errors import RunError
from trimtab.records import RunDirectory, find, runs


@pytest.fixture
def folder(tmp_path):
    evaluations = [{"step": 2, "val_loss": 2.5}]
    make_run(
        tmp_path / "b",
        [step(1), step(2)],
        evaluations,
        run_id="20260102-000000-bbbbbbbb",
        created_at="2026-01-02T00:00:00+00:00",
    )
    make_run(
        tmp_path / "exp" / "episodes" / "arm" / "seed-0",
        ended=summary(),
        run_id="20260101-000000-aaaaaaaa",
        created_at="2026-01-01T00:00:00+00:00",
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


def test_listing_writes_nothing_and_trusts_no_index(folder):
    (folder / ".trimtab-index.sqlite").write_text("poison")
    before = sorted(path for path in folder.rglob("*"))
    assert [row.status for row in runs(folder)] == ["completed", "interrupted"]
    assert sorted(path for path in folder.rglob("*")) == before
    assert (folder / ".trimtab-index.sqlite").read_text() == "poison"


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


def test_a_non_finite_loss_is_listed(folder):
    make_run(folder / "nan", ended=summary(metrics={"val_loss": math.nan}), created_at="2026-01-09T00:00:00+00:00")
    assert math.isnan(runs(folder)[-1].val_loss)


def test_a_damaged_run_is_listed_as_such_and_a_foreign_manifest_not(folder):
    (folder / "b" / "manifest.json").write_text("{")
    (folder / "app").mkdir()
    (folder / "app" / "manifest.json").write_text(json.dumps({"name": "web app"}))
    assert [(row.path, row.status) for row in runs(folder)] == [
        ("b", "damaged"),
        ("exp/episodes/arm/seed-0", "completed"),
    ]


def _fifo(path):
    path.unlink()
    os.mkfifo(path)


def _folder(path):
    path.unlink()
    path.mkdir()


def _giant(path):
    with path.open("r+b") as file:
        file.truncate(1 << 40)


def _content(content):
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
@pytest.mark.parametrize(
    "damage",
    [
        _fifo,
        _folder,
        _giant,
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
        _content(b""),
        _content(b"[]"),
        _content(b"null"),
        _content(b"\xff"),
        _content(b"[" * 100_000),
        _content(b'{"config_hash": ' + b"9" * 5000 + b"}"),
        _content(b'{"config_hash": {"config": 1}}'),
    ],
)
def test_a_damaged_run_does_not_end_the_list(folder, name, damage):
    make_run(folder / "bad", [step(1)], ended=summary(), created_at="2026-01-03T00:00:00+00:00")
    damage(folder / "bad" / name)
    rows = {row.path: row for row in runs(folder)}
    assert rows["bad"].status == "damaged" and name in rows["bad"].problem and len(rows["bad"].problem) <= 250
    assert rows["b"].status == "interrupted" and rows["exp/episodes/arm/seed-0"].status == "completed"


def test_integers_beyond_64_bits_and_names_that_are_not_utf8_are_listed(folder):
    make_run(folder / "big", ended=summary(steps=2**70), seed=2**70, created_at="2026-01-04T00:00:00+00:00")
    odd = os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")
    make_run(RunDirectory(odd).path, ended=summary(), created_at="2026-01-05T00:00:00+00:00")
    assert [(row.steps, row.seed) for row in runs(folder)][2:] == [(2**70, 2**70), (3, 0)]


def test_a_hand_edited_summary_is_damaged(folder):
    path = folder / "exp" / "episodes" / "arm" / "seed-0" / "summary.json"
    path.write_text(path.read_text().replace("1.5", "0.5"))
    row = runs(folder)[0]
    assert row.status == "damaged" and "not what was written" in row.problem


def test_a_folder_that_is_itself_a_run(folder):
    assert [row.path for row in runs(folder / "b")] == ["."]


def test_find(folder, monkeypatch):
    assert find(folder, "20260101").path == "exp/episodes/arm/seed-0"
    assert find(folder, "b").run_id == "20260102-000000-bbbbbbbb"
    assert find(folder, str(folder / "b")).directory.path == folder / "b"
    monkeypatch.chdir(folder)
    assert find("elsewhere", "b").steps == 2  # a path needs no folder of runs
    with pytest.raises(RunError, match="matches 2 runs"):
        find(folder, "2026")
    with pytest.raises(RunError, match="Similar names: 20260101-000000-aaaaaaaa"):
        find(folder, "20260101-000000-aaaabaaa")
    with pytest.raises(RunError, match="nor the beginning of a run_id in"):
        find(folder, "")
    with pytest.raises(RunError, match="no folder"):
        find(folder / "none", "zzz")
