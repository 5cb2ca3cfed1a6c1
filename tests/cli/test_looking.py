"""`list`, `show`, `diff` and `export` on folders that somebody else filled."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.records.runs import make_run, manifest, parent, step, summary
from trimtab.cli.commands import app
from trimtab.config.yaml_file import load_yaml
from trimtab.records import DataRecord, RunDirectory
from trimtab.records.hashing import seal_of

HOSTILE = (
    "\x1b[2J\x1b]0;mine\x07[bold red]x[/bold red] [/red] :smile: \u202e\x9b31m\nevent at step 9: forged\t0\r\n  seed: 7"
)


def said(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def hostile(tmp_path: Path) -> RunDirectory:
    rows = [step(1, regime=HOSTILE), step(2)]
    sample = {"prompt": HOSTILE, "text": HOSTILE}
    evaluation = {"step": 2, "val_loss": 1.5, "sample": sample}
    event = {"step": 1, "kind": HOSTILE, "reason": HOSTILE, "time": HOSTILE}
    return make_run(
        tmp_path / "runs" / "sweep[lr=0.1][red]",
        rows,
        [evaluation],
        [event],
        summary(),
        run_id=HOSTILE,
        data=DataRecord(name=HOSTILE, fingerprint=HOSTILE),
        parent=parent(HOSTILE, 1),
        config={"seed": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
        environment={HOSTILE: HOSTILE},
        git_commit=HOSTILE,
    )


def is_clean(text: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in text)


def test_what_is_printed_has_no_control_characters_and_markup_is_shown_as_it_is(hostile: RunDirectory) -> None:
    other = make_run(hostile.path.parent / "other", [step(1), step(2)])
    for text in (said("list", hostile.path.parent), said("show", hostile.path), said("diff", hostile.path, other.path)):
        assert is_clean(text), repr(text)
        assert not [line for line in text.split("\n") if line.lstrip().startswith(("event at step 9", "seed: 7"))]
        assert "[bold red]x[/bold red] [/red] :smile:" in text and "\\x1b[2J" in text
    listed = said("list", hostile.path.parent)
    assert "sweep[lr=0.1][red]" in listed
    for arguments in (("list", hostile.path.parent), ("show", hostile.path), ("diff", hostile.path, other.path)):
        text = said(*arguments, "--json")
        assert is_clean(text) and "[/red]" in text
        json.loads(text)


def test_a_config_is_shown_as_yaml_that_reads_back_as_the_same(tmp_path: Path) -> None:
    config = {"octal": "0o17", "null": "null", "prompt": "a b " * 60 + "\nseed: 7\n", "list": ["1_0", 8, "08", True]}
    text = said("show", make_run(tmp_path / "run", config=config).path)
    shown = tmp_path / "shown.yaml"
    shown.write_text(text.partition("config, hash c0ffee:\n")[2])
    assert load_yaml(shown)[0] == config
    assert not [line for line in text.split("\n") if line.lstrip().startswith("seed: 7")]


def test_names_are_listed_whole_in_a_pipe(tmp_path: Path) -> None:
    name = "a" * 200
    make_run(tmp_path / name, ended=summary())
    make_run(tmp_path / os.fsdecode(b"\xff"), ended=summary())
    text = said("list", tmp_path)
    assert name in text and "\\udcff" in text


def test_exported_cells_are_no_formulas_and_numbers_stay_numbers(tmp_path: Path) -> None:
    rows = [step(1, **{"=HYPERLINK(1)": "=1+1", "gain": -1.5, "low": "-inf", "note": "@x"})]
    run = make_run(tmp_path / "run", rows, [], [{"step": 1, "kind": "+x", "reason": "-x", "before": "\t=1"}])
    said("export", run.path, "--to", "csv")
    with (run.exports_path / "csv" / "steps.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["'=HYPERLINK(1)"], row["gain"], row["low"], row["note"]) == ("'=1+1", "-1.5", "-inf", "'@x")
    with (run.exports_path / "csv" / "events.csv").open(newline="") as file:
        (event,) = csv.DictReader(file)
    assert (event["kind"], event["reason"], event["before"]) == ("'+x", "'-x", "'\t=1")


def test_altered_records_are_reported_by_show_diff_and_export(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [step(1), step(2), step(3)])
    summary(records={"steps.jsonl": seal_of(run.steps_path)}).write(run.summary_path)
    assert "changed after" not in said("show", run.path)
    lines = run.steps_path.read_bytes().splitlines(keepends=True)
    run.steps_path.write_bytes(b"".join([lines[0], lines[2]]))
    for command in (("show", run.path), ("diff", run.path, run.path), ("export", run.path, "--to", "csv")):
        text = " ".join(said(*command).split())
        assert "were changed after the run wrote them: steps.jsonl is not what the run wrote" in text
    assert json.loads(said("show", run.path, "--json"))["altered"][0].startswith("steps.jsonl is not")


@pytest.mark.parametrize("what", ["fifo", "folder", "giant", "link to a device"])
@pytest.mark.parametrize("name", ["manifest.json", "summary.json", "steps.jsonl", "events.jsonl", "evaluations.jsonl"])
def test_anything_else_in_the_place_of_a_record_is_refused_in_one_line(tmp_path: Path, name: str, what: str) -> None:
    run = make_run(tmp_path / "run", [step(1)], [{"step": 1}], [{"step": 1, "kind": "a", "reason": "b"}], summary())
    path = run.path / name
    path.unlink()
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "giant":
        with path.open("wb") as file:
            file.truncate(1 << 42)
    else:
        path.symlink_to("/dev/zero")
    commands: list[list[Any]] = [["show", run.path], ["export", run.path, "--to", "csv"], ["diff", run.path, run.path]]
    for command in commands:
        result = CliRunner().invoke(app, [str(argument) for argument in command])
        touched = name in ("manifest.json", "summary.json") or (command[0], name) not in {
            ("show", "steps.jsonl"),
            ("diff", "events.jsonl"),
            ("diff", "evaluations.jsonl"),
        }
        assert (result.exception is not None) == touched, (command, result.output)
        if touched:
            assert name in str(result.exception) and "\n" not in str(result.exception)
    assert "run" in said("list", tmp_path)


WRONG: list[tuple[str, object]] = [
    ("events.jsonl", {"kind": "a"}),
    ("events.jsonl", {"kind": ["a"], "reason": 1}),
    ("events.jsonl", {"step": "one", "kind": "a", "reason": "b"}),
    ("events.jsonl", []),
    ("evaluations.jsonl", {"val_loss": 1.5}),
    ("evaluations.jsonl", {"step": 1, "sample": "text"}),
    ("evaluations.jsonl", {"step": 1, "sample": {"prompt": 1}}),
    ("evaluations.jsonl", {"step": 1, "task_eval": {"problems": "many"}}),
    ("evaluations.jsonl", {"step": 2**70}),
    ("steps.jsonl", {"step": 1.5}),
    ("steps.jsonl", {"step": -1}),
    ("steps.jsonl", {"step": 1, "seconds": "long"}),
    ("steps.jsonl", {"step": 1, "tokens": [1]}),
    ("steps.jsonl", {"step": 1, "faults": [1]}),
]


@pytest.mark.parametrize(("name", "row"), WRONG)
def test_valid_json_of_the_wrong_shape_is_refused_with_its_line(tmp_path: Path, name: str, row: object) -> None:
    run = make_run(tmp_path / "run", [step(1)], [{"step": 1}], [{"step": 1, "kind": "a", "reason": "b"}])
    with (run.path / name).open("a") as file:
        file.write(json.dumps(row) + "\n")
    result = CliRunner().invoke(app, ["export", str(run.path), "--to", "csv"])
    assert f"{name} is damaged at line 2" in str(result.exception)


@pytest.mark.parametrize("time", ["yesterday", "2026-01-01T00:00:00", ""])
def test_a_manifest_without_a_time_is_damaged(tmp_path: Path, time: str) -> None:
    run = make_run(tmp_path / "run")
    content = manifest().model_dump() | {"created_at": time}
    run.manifest_path.write_text(json.dumps(content))
    for command in (["show", str(run.path)], ["export", str(run.path), "--to", "tensorboard"]):
        result = CliRunner().invoke(app, command)
        assert "created_at" in str(result.exception)
