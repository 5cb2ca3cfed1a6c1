import csv
import json
import math
import sys

import pytest

from tests.records.runs import make_run, step
from trimtab.errors import ConfigError, RunError
from trimtab.records import export_csv, export_tensorboard


@pytest.fixture
def run(tmp_path):
    sample = {"prompt": "The ", "text": 'cat,\n"sat" nan', "figures": {"entropy": 3.5}}
    return make_run(
        tmp_path / "run",
        [step(1, train_loss=0.1 + 0.2), step(2, train_loss=math.nan, extra={"layer": [1, 2]}), step(2, attempt=1)],
        [{"step": 2, "attempt": 0, "val_loss": 1.25, "sample": sample}],
        [{"step": 1, "attempt": 0, "kind": "skip", "reason": "loss is nan", "before": {"lr": 0.1}, "after": None}],
    )


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_every_row_and_column_in_full_precision(run):
    paths = export_csv(run)
    assert [path.name for path in paths] == ["evaluations.csv", "events.csv", "steps.csv"]
    assert all(path.parent == run.path / "exports" / "csv" for path in paths)
    steps = read(paths[2])
    assert list(steps[0])[:3] == ["step", "attempt", "train_loss"] and list(steps[0])[-1] == "extra.layer"
    assert float(steps[0]["train_loss"]) == 0.1 + 0.2
    assert (steps[1]["train_loss"], steps[1]["extra.layer"], steps[0]["extra.layer"]) == ("nan", "[1, 2]", "")
    assert steps[2]["attempt"] == "1"
    evaluation = read(paths[0])[0]
    assert evaluation["sample.text"] == 'cat,\n"sat" nan' and evaluation["sample.figures.entropy"] == "3.5"
    event = read(paths[1])[0]
    assert (event["before.lr"], event["after"], event["kind"]) == ("0.1", "", "skip")


def test_a_run_without_rows_gives_empty_tables(tmp_path):
    paths = export_csv(make_run(tmp_path / "run"))
    assert [path.read_text() for path in paths] == ["\n", "\n", "\n"]


def test_a_view_is_rebuilt_over_itself_and_over_nothing_else(run, tmp_path):
    out = tmp_path / "out" / "view"
    export_csv(run, out)
    (out / "steps.csv").write_text("stale")
    export_csv(run, out)
    assert len(read(out / "steps.csv")) == 3
    (out / "mine.txt").write_text("precious")
    with pytest.raises(RunError, match=r"did not make \(mine\.txt\)"):
        export_csv(run, out)
    assert (out / "mine.txt").read_text() == "precious"
    other = tmp_path / "other"
    other.mkdir()
    (other / "steps.csv").write_text("mine too")
    with pytest.raises(RunError, match=r"steps\.csv"):
        export_csv(run, other)
    with pytest.raises(RunError, match="it is a file"):
        export_csv(run, other / "steps.csv")
    with pytest.raises(RunError, match="Cannot export"):
        export_csv(run, other / "steps.csv" / "below")


def test_another_runs_or_kinds_view_is_not_overwritten(run, tmp_path):
    out = tmp_path / "view"
    export_csv(run, out)
    second = make_run(tmp_path / "second", [step(1)], run_id="20260202-000000-bbbbbbbb")
    with pytest.raises(RunError, match="csv export of run 20260101"):
        export_csv(second, out)
    with pytest.raises(RunError, match="csv export of run 20260101"):
        export_tensorboard(run, out)


def test_damage_stops_an_export_and_leaves_nothing(run):
    with run.steps_path.open("a") as file:
        file.write("{\n")
    with pytest.raises(RunError, match="damaged at line 4"):
        export_csv(run)
    assert list((run.path / "exports").iterdir()) == []


def test_tensorboard_reads_it_back(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # the second replaces the first: no event stands twice
        paths = export_tensorboard(run)
    assert len(paths) == 1
    events = EventAccumulator(str(paths[0].parent)).Reload()
    losses = events.Scalars("steps/train_loss")
    assert [event.step for event in losses] == [1, 2, 2]
    assert losses[0].value == pytest.approx(0.3) and math.isnan(losses[1].value)
    assert losses[1].wall_time - losses[0].wall_time == pytest.approx(0.25)
    assert events.Scalars("evaluations/val_loss")[0].value == 1.25
    assert events.Scalars("evaluations/sample/figures/entropy")[0].value == 3.5
    assert events.Tensors("samples")[0].tensor_proto.string_val == [b'The cat,\n"sat" nan']
    assert b"loss is nan" in events.Tensors("events/skip")[0].tensor_proto.string_val[0]
    assert json.loads((paths[0].parent / ".trimtab-export.json").read_text())["files"] == [paths[0].name]


def test_without_tensorboard_the_error_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(ConfigError, match=r"pip install 'trimtab\[tensorboard\]'"):
        export_tensorboard(run)
    assert not (run.path / "exports").exists()
