"""Logic puzzles at a cadence: their figures, their thoughts, and that they change nothing of the run."""

from pathlib import Path
from typing import Any

import yaml

from tests.metacognition.data.test_rollouts import CONFIG
from tests.training.small_runs import command, weights
from trimtab.records import RunDirectory

PUZZLES = {"name": "puzzles", "every": 4, "problems": 4, "puzzles": "entailment", "tokens": 12, "kept": 2}


def ran(folder: Path, instruments: list[dict[str, Any]], **data: Any) -> tuple[RunDirectory, Any]:
    plain = {key: value for key, value in CONFIG["data"].items() if key != "rollouts"}
    episode = {**CONFIG["episode"], "loss": {"name": "cross_entropy"}}
    config = {**CONFIG, "data": {**plain, "context": 80, **data}, "episode": episode}
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({**config, "monitor": {"instruments": instruments}}))
    return RunDirectory(folder), command("train", str(path), "--out", str(folder))


def test_puzzles_are_answered_at_their_cadence_and_leave_the_run_as_it_is(tmp_path: Path) -> None:
    run, done = ran(tmp_path / "with", [PUZZLES])
    assert done.returncode == 0, done.stderr
    measured = {row["step"]: row["instruments"]["puzzles"] for row in run.steps() if row.get("instruments")}
    assert sorted(measured) == [4, 8]
    for figures in measured.values():
        assert 0 <= figures["accuracy"] <= 1 and 0 <= figures["forced"] <= 1 and figures["think_tokens"] <= 6
        assert len(figures["thoughts"]) == 2
        for one in figures["thoughts"]:
            assert one["prompt"].endswith("? ") and one["truth"] in ("yes", "no") and one["cap"] in (0, 3, 6)
    assert [one["prompt"] for one in measured[4]["thoughts"]] == [one["prompt"] for one in measured[8]["thoughts"]]
    without, done = ran(tmp_path / "without", [])
    assert done.returncode == 0, done.stderr
    assert weights(run.path) == weights(without.path)


def test_puzzles_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    _, done = ran(tmp_path / "long", [{**PUZZLES, "levels": [5]}], context=40)
    assert done.returncode == 2
    assert "puzzles: a puzzle has" in done.stderr and "leaves no room for an answer" in done.stderr
