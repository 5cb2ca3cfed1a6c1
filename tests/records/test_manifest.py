import json
import math
import re
from datetime import datetime, timedelta

import pytest

from tests.records.runs import manifest, parent, summary
from trimtab.errors import RunError
from trimtab.records import Manifest, Summary, find, new_run_id, now


def test_manifest_round_trip_and_keys(tmp_path):
    written = manifest(parent=parent("older", 40), config={"lr": math.inf, "hooks": []})
    written.write(tmp_path / "manifest.json")
    raw = json.loads((tmp_path / "manifest.json").read_text())
    assert {"run_id", "created_at", "git_commit", "git_dirty", "config_hash", "config"} <= set(raw)
    assert {"hooks", "seed", "data", "environment", "parent"} <= set(raw)
    assert raw["hooks"] == [
        {"name": "activation_stats", "kind": "observe", "config": {"every": 10}, "source_hash": "5ee"}
    ]
    assert raw["data"] == {"name": "corpus", "fingerprint": "f00", "tokens": 1000}
    assert raw["parent"] == {
        "run_id": "older",
        "step": 40,
        "path": "",
        "changed": [],
        "changes": [],
        "controller": None,
    }
    read = Manifest.read(tmp_path / "manifest.json")
    assert read.parent == written.parent and read.hooks == written.hooks and read.config["lr"] == "inf"


def test_data_and_later_fields_are_kept(tmp_path):
    raw = manifest().model_dump()
    raw["data"]["unknown_characters"] = 3
    raw["added_later"] = {"x": 1}
    (tmp_path / "a.json").write_text(json.dumps(raw))
    read = Manifest.read(tmp_path / "a.json")
    read.write(tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == raw


def test_summary_round_trip_with_non_finite_metrics(tmp_path):
    written = summary(status="diverged", metrics={"val_loss": math.nan, "best": -math.inf, "nested": {"x": 0.1}})
    written.write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text())["metrics"]["val_loss"] == "nan"
    read = Summary.read(tmp_path / "summary.json")
    assert math.isnan(read.metrics["val_loss"]) and read.metrics["best"] == -math.inf
    assert read.metrics["nested"] == {"x": 0.1} and read.status == "diverged"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"run_id": "a", ', "damaged"),
        ("[1]", "holds a list, not an object"),
        ("\x00\x00", "damaged"),
        ('{"run_id": "a"}', "created_at is missing"),
        (json.dumps({**manifest().model_dump(), "seed": "many"}), "seed"),
        (json.dumps({**manifest().model_dump(), "format_version": 99}), "format 99"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, text, message):
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        Manifest.read(path)
    assert str(path) in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(RunError, match="no manifest at"):
        Manifest.read(tmp_path / "manifest.json")
    with pytest.raises(RunError, match="no summary at"):
        Summary.read(tmp_path / "summary.json")


def test_an_unknown_status_is_refused(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({**summary().model_dump(), "status": "great"}))
    with pytest.raises(RunError, match="status"):
        Summary.read(tmp_path / "summary.json")


def test_run_ids_and_times():
    ids = [new_run_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", run_id) for run_id in ids)
    assert datetime.fromisoformat(now()).utcoffset() == timedelta(0)


def test_the_folder_of_an_experiment_is_named_as_one(tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e/experiment.json").write_text("{}")
    with pytest.raises(
        RunError, match=r"no manifest at .*: .*e holds an experiment\. `trimtab list .*` lists its runs"
    ):
        Manifest.read(tmp_path / "e/manifest.json")
    with pytest.raises(RunError, match="'e' is not a run: .*e holds an experiment"):
        find(tmp_path, "e")
