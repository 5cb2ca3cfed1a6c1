"""Following runs and folders of runs: nothing is raised for damaged records, and long files are read in slices."""

import json
import math
import os
import random
import shutil
from pathlib import Path

import pytest

from tests.hud.conftest import write_demo
from trimtab.hud.feed import Feed, View
from trimtab.hud.fleet import Fleet
from trimtab.hud.look import Look
from trimtab.hud.panels import Canvas, all_panels, panels_for
from trimtab.hud.panels.study import study_of
from trimtab.hud.plain import print_state
from trimtab.hud.poller import Poller
from trimtab.records.jsonl import encode_row
from trimtab.records.lock import RunLock

NAMES = ("manifest.json", "summary.json", "steps.jsonl", "events.jsonl", "evaluations.jsonl", "predictions.jsonl")


def draw_everything(view: View) -> None:
    """Draw every panel and the study at several sizes."""
    for panel in panels_for(view):
        for width, height in ((1, 1), (20, 3), (60, 14)):
            panel.follow(view)
            text = panel.text(view, Canvas(width, height, Look()))
            assert text.plain.count("\n") <= max(height, 3)
    study = study_of(view)
    if study is not None:
        study.found(view, Canvas(40, 10, Look()))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_renamed_and_removed_records_raise_nothing(tmp_path: Path, seed: int) -> None:
    """After each of 12 disturbances of a run's files, all is polled and every panel is drawn."""
    rng = random.Random(seed)
    run = write_demo(tmp_path / "routes")
    view, fleet = View(run), Fleet(tmp_path)
    for _ in range(12):
        path = run / rng.choice(("", "think", "layer")) / rng.choice(NAMES)
        match rng.randrange(7):
            case 0 if path.exists():
                path.write_bytes(path.read_bytes()[: rng.randrange(1 + path.stat().st_size)])
            case 1:
                path.unlink(missing_ok=True)
            case 2 if path.exists():
                path.rename(path.with_suffix(".old"))
            case 3 if path.parent.exists():
                with path.open("ab") as file:
                    file.write(
                        rng.choice(
                            [
                                b"{",
                                b"nan\n",
                                b'{"step": "x", "train_loss": "nan"}\n',
                                b"\xff\n",
                                b"[1]\n",
                                os.urandom(50),
                            ]
                        )
                    )
            case 4 if path.exists():
                content = bytearray(path.read_bytes())
                for _ in range(min(5, len(content))):
                    content[rng.randrange(len(content))] = rng.randrange(256)
                path.write_bytes(content)
            case 5 if path.with_suffix(".old").exists():
                path.with_suffix(".old").rename(path)
            case 6 if rng.random() < 0.2:
                shutil.rmtree(path.parent, ignore_errors=True)
                write_demo(run)
        view.poll()
        fleet.scan(walk_every=0.0)
        draw_everything(view)


@pytest.mark.parametrize("kind", ["training", "search", "memory", "experiment", "thinking", "unknown"])
def test_a_run_of_any_kind_without_any_other_record_is_drawn(tmp_path: Path, kind: str) -> None:
    run = write_demo(tmp_path / "routes") / "think"
    manifest = json.loads((run / "manifest.json").read_bytes()) | {"kind": kind}
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if kind == "experiment":
        (folder / "experiment.json").write_text("{}")
    (folder / "events.jsonl").touch()
    view = View(folder)
    view.poll()
    draw_everything(view)
    assert panels_for(view)


def test_panels_say_what_a_run_did_not_record(tmp_path: Path) -> None:
    view = View(tmp_path)
    view.poll()
    loss = next(panel for panel in all_panels() if panel.name == "loss")
    assert "not recorded by this run" in loss.text(view, Canvas(60, 10, Look())).plain


def test_a_killed_run_counts_as_interrupted_and_a_locked_one_as_running(tmp_path: Path) -> None:
    run = write_demo(tmp_path / "routes") / "think"
    (run / "summary.json").unlink()
    feed, fleet = Feed(run), Fleet(run)
    feed.poll()
    assert feed.status == "interrupted"
    with RunLock(run / ".lock"):
        feed.poll()
        fleet.scan()
        assert feed.status == "running"
        assert [entry.status for entry in fleet.entries] == ["running"]
    feed.poll()
    assert feed.status == "interrupted"


def test_plain_lines_name_every_run_its_state_and_its_progress(demo_runs: Path) -> None:
    said: list[str] = []
    print_state(demo_runs, said.append)
    assert said[0] == "1 run, 0 running"
    assert said[1].startswith("routes, thinking, completed, 480 of 480, gain ")


def test_a_change_of_a_run_changes_its_entry_and_nothing_else_is_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_demo(tmp_path / name)
    fleet = Fleet(tmp_path)
    assert fleet.scan(walk_every=0.0)
    assert not fleet.scan(walk_every=0.0)
    before = {entry.name: entry for entry in fleet.entries}
    with RunLock(tmp_path / "one" / ".lock"):
        assert fleet.scan(walk_every=0.0)
        after = {entry.name: entry for entry in fleet.entries}
        assert after["one"].status == "running"
        assert after["two"] is before["two"]


def long_file(path: Path, rows: int, spike: int) -> None:
    """A file of so many rows like those of a run, with one extreme loss."""
    rng = random.Random(0)
    with path.open("wb") as file:
        for start in range(0, rows, 1000):
            lines = []
            for step in range(start, min(rows, start + 1000)):
                loss = 50.0 if step == spike else 1 + rng.random()
                aux = {f"model.layer.{block}.budget": rng.random() for block in range(8)}
                lines.append(
                    encode_row({"step": step, "train_loss": loss, "lr": 0.001, "grad_norm": loss / 2, "aux": aux})
                )
            file.write(b"".join(lines))


@pytest.mark.slow
def test_a_long_file_shows_an_overview_first_and_then_everything_in_slices(tmp_path: Path) -> None:
    """200,000 rows of 400 bytes; the spike of one row is in the chart once all is read."""
    rows, spike = 200_000, 123_456
    long_file(tmp_path / "steps.jsonl", rows, spike)
    fleet = Fleet(tmp_path)
    poller = Poller(fleet, lambda: None)
    poller.watch([tmp_path])
    view = poller.view(tmp_path)
    poller.poll()
    assert not view.main.complete
    assert view.main.steps.last("step") == rows - 1
    slices = 0
    while not view.main.complete:
        view.main.poll()
        slices += 1
    assert slices > 20
    low, high = view.main.steps.spans("train_loss")
    assert max(high) == 50.0
    assert len(low) < 5000
    assert view.main.steps.rows == rows


def test_extremes_of_one_row_are_in_the_chart_at_every_zoom() -> None:
    from trimtab.hud.chart import Chart, Options, curve_of
    from trimtab.hud.table import Table

    table = Table()
    table.extend({"step": step, "y": 9.0 if step == 30_000 else 1.0} for step in range(50_000))
    for left, right in ((0.0, 1.0), (0.5, 0.7), (0.59, 0.61)):
        options = Options(left=left, right=right)
        window = Chart([curve_of(table, "y", "y", "#ffffff", options)]).window(options)
        assert window is not None
        assert window.top == 9.0
        assert math.isclose(window.bottom, 1.0)
