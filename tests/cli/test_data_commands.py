"""The commands `data check` and `data snapshot`."""

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.data.tasks.shared import write_rows
from trimtab.cli.commands import app

ROWS = [{"prompt": f"q{index}", "chosen": "yes", "rejected": "no"} for index in range(6)]


def test_check_writes_a_page_and_json(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", ROWS)
    done = CliRunner().invoke(app, ["data", "check", path, "--tokenizer", "character", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {"report.html", "report.md", "check.json"}
    assert json.loads((tmp_path / "out" / "check.json").read_text())["usable"] == 6
    again = CliRunner().invoke(app, ["data", "check", path, "--json"])
    assert json.loads(again.stdout)["labels"]["chosen_longer"] == 1.0


def test_snapshot_lists_its_copies(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", ROWS)
    done = CliRunner().invoke(app, ["data", "snapshot", path, "--out", str(tmp_path / "kept"), "--json"])
    (kept,) = json.loads(done.stdout)
    assert (tmp_path / "kept" / kept["copy"]).read_bytes() == Path(path).read_bytes()
