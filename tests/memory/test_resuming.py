"""Memory runs that are interrupted, resumed, or only partly solved: their events, metrics and refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.memory.test_run import Listener, config, stopping_after
from trimtab.cli.commands import app
from trimtab.config import RunError
from trimtab.memory.protocol.solving import Blocks, StageInterruptedError
from trimtab.memory.run import run_memory
from trimtab.memory.store import load_memory
from trimtab.records import RunDirectory, read_rows
from trimtab.reports.memory import write_report
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import Message, Occurrence, Progress, RunEvent, Stage


def test_the_early_warning_is_given_once_over_interruptions(plain: dict[str, Any], tmp_path: Path) -> None:
    gates = {"single": 0.0, "joint": 0.0, "early": 1.0, "early_after": 2}
    hard = {**plain["solve"], "steps": 6, "restarts": 1, "margin": 30.0}
    settings = config(plain, gates=gates, solve=hard, stages=["baselines", "joint"])
    out, reasons = tmp_path / "run", []
    for left in (3, 5, 7, 3, None):
        result = run_memory(settings, out, stopping_after(left))
        reasons = [row["reason"] for row in read_rows(out / "events.jsonl") if row["kind"] == "gate"]
    assert result["status"] == "completed"
    assert [one.split(":")[0] for one in reasons] == ["early", "joint"]
    assert [gate["gate"] for gate in result["gates"]] == ["early", "joint"]
    assert "Ctrl-C stops it" in reasons[0]


def test_the_best_vectors_of_an_unsolved_pair_are_decoded_but_are_no_memory(
    plain: dict[str, Any], tmp_path: Path
) -> None:
    hard = {**plain["solve"], "margin": 3.0}
    settings = config(plain, solve=hard, stages=["baselines", "joint", "generation"])
    result = run_memory(settings, tmp_path / "run")
    rows = read_rows(tmp_path / "run/stages/joint/candidates.jsonl")
    good = {row["pair"] for row in rows if row["status"] == "solved"}
    decodes = read_rows(tmp_path / "run/generation.jsonl")
    assert {row["pair"] for row in decodes} == {row["pair"] for row in rows}
    assert {row["pair"] for row in decodes if row["solved"]} == good != {row["pair"] for row in rows}
    assert result["metrics"]["pass_fp32"]["solved"] <= len(good)
    assert "pair, unsolved" in write_report(tmp_path / "run")[0].read_text()
    for pair in {row["pair"] for row in rows} - good:
        losses = [sum(row["loss"].values()) for row in rows if row["pair"] == pair]
        kept = load_memory(tmp_path / "run/unsolved" / pair)
        assert len(losses) == 2 and sum(kept.card.loss.values()) == min(losses)


def test_a_start_that_was_killed_is_completed_by_the_next(plain: dict[str, Any], tmp_path: Path) -> None:
    """The manifest is written first. Without it a killed start would leave a folder that is refused as not empty."""
    settings = config(plain, stages=["baselines"])
    result = run_memory(settings, tmp_path / "whole")
    for missing in (["pairs.jsonl"], ["pairs.jsonl", "memory.yaml"]):
        out = tmp_path / f"killed-{len(missing)}"
        run_memory(settings, out, stopping_after(0))
        for entry in out.iterdir():
            if entry.name in missing or entry.name not in ("manifest.json", "memory.yaml"):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        assert {entry.name for entry in out.iterdir()} == {"manifest.json", "memory.yaml"} - set(missing)
        again = run_memory(settings, out)
        assert again["metrics"] == result["metrics"]
        for name in ("pairs.jsonl", "memory.yaml"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert read_rows(out / "events.jsonl")[0]["kind"] == "data"


def test_the_manifest_is_the_first_file_of_a_run(plain: dict[str, Any], tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def write(path: Path, content: bytes) -> None:
        seen.append({entry.name for entry in (tmp_path / "run").iterdir()})
        raise OSError("stopped here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trimtab.memory.protocol.run_records.write_text", write)
        with pytest.raises(OSError, match="stopped here"):
            run_memory(config(plain, stages=["baselines"]), tmp_path / "run")
    assert "manifest.json" in seen[0] and "pairs.jsonl" not in seen[0]


def test_pairs_with_one_answer_skip_the_counterfactual_stage(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("".join(f'{{"question": "{q}", "answer": "x"}}\n' for q in "abc"))
    pairs = {"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")}
    stages = ["baselines", "joint", "counterfactual", "generation", "analysis"]
    result = run_memory(config(plain, pairs=pairs, count=3, stages=stages), tmp_path / "run")
    assert result["status"] == "completed" and "joint_counterfactual" not in result["metrics"]
    (reason,) = [row["reason"] for row in read_rows(tmp_path / "run/events.jsonl") if row["kind"] == "stage_left_out"]
    assert reason.startswith("counterfactual: These 2 pairs cannot get counterfactual answers")
    assert "other" not in json.loads((tmp_path / "run/leaks.json").read_text())["bits"]


def test_an_interrupted_stage_counts_all_its_pairs(plain: dict[str, Any], tmp_path: Path) -> None:
    settings = config(plain, stages=["baselines", "joint"], solve={**plain["solve"], "positions": 24})
    result = run_memory(settings, tmp_path / "run", stopping_after(22))
    ended = {row["pair"] for row in read_rows(tmp_path / "run/stages/joint/candidates.jsonl")}
    assert result["status"] == "interrupted" and 0 < len(ended) < 5
    assert result["metrics"]["joint"]["pairs"] == 5
    assert "not ended" in write_report(tmp_path / "run")[0].read_text()


def test_a_stop_takes_effect_between_decodes_and_analyses(plain: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    for words in ("Baselines", "Controls", "Greedy decoding", "Robustness", "Leaks", "Landscape"):
        events: list[RunEvent] = []

        def stop(events: list[RunEvent] = events, words: str = words) -> str | None:
            reached = any(isinstance(one, Stage) and one.name.startswith(words) for one in events)
            return "requested" if reached else None

        assert run_memory(config(plain), out, RunContext(events.append, stop))["status"] == "interrupted"
    assert run_memory(config(plain), out)["status"] == "completed"


def test_a_resumed_run_says_so(plain: dict[str, Any], tmp_path: Path) -> None:
    settings, out = (
        config(plain, stages=["baselines", "joint"], solve={**plain["solve"], "positions": 24}),
        tmp_path / "run",
    )
    run_memory(settings, out, stopping_after(22))
    solved = len({row["pair"] for row in read_rows(out / "stages/joint/candidates.jsonl") if row["status"] == "solved"})
    listener = Listener()
    assert run_memory(settings, out, listener.context)["status"] == "completed"
    reasons = [one.row["reason"] for one in listener.events if isinstance(one, Occurrence)]
    assert f"The run in {out} continues." in reasons
    words = f"joint continues after step 22, with {solved} pair{'s' if solved != 1 else ''} solved."
    assert Message(words) in listener.events
    kinds = [row["kind"] for row in read_rows(out / "events.jsonl") if row["kind"] in ("end", "resume")]
    assert kinds == ["end", "resume", "end"]


def test_a_folder_in_use_is_refused_before_the_model_is_loaded(plain: dict[str, Any], tmp_path: Path) -> None:
    settings, out = config(plain, stages=["baselines", "joint"]), tmp_path / "run"
    run_memory(settings, out, stopping_after(3))
    elsewhere = {"name": "pretrained", "path": str(tmp_path / "nowhere")}
    gone = config(plain, stages=["baselines", "joint"], model=elsewhere)
    with RunDirectory(out).lock(), pytest.raises(RunError, match="in use"):
        run_memory(gone, out)


def test_the_number_of_usable_pairs_is_reported(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(
        "".join(json.dumps({"question": q, "answer": "x"}) + "\n" for q in ("a", "b" * 500))
    )
    pairs, listener = {"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")}, Listener()
    run_memory(config(plain, pairs=pairs, count=2, stages=["baselines"]), tmp_path / "run", listener.context)
    reasons = [one.row["reason"] for one in listener.events if isinstance(one, Occurrence)]
    assert "1 pair of jsonl instead of 2; the others cannot be used" in reasons
    assert Stage("Baselines of 1 pair", "block") in listener.events


def test_long_work_emits_its_progress_and_stops_between_blocks() -> None:
    listener = Listener()
    progress = Blocks(listener.context, "Leaks in bits")
    progress(1, 4)
    assert listener.events == [Stage("Leaks in bits", "block"), Progress("Leaks in bits", "block", 1, 4)]
    listener.left = 0
    with pytest.raises(StageInterruptedError, match="requested"):
        progress(2, 4)


def test_changes_that_would_mix_two_runs_cannot_be_accepted(plain: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    stages = {"stages": ["baselines", "joint"]}
    assert run_memory(config(plain, **stages), out, stopping_after(3))["status"] == "interrupted"
    for changed in ({"vectors": 8}, {"count": 4}, {"seed": 2}):
        with pytest.raises(RunError, match=rf"the config's {next(iter(changed))}.*choose another --out\.$"):
            run_memory(config(plain, **stages, **changed), out, accept_changes=True)
    more = config(plain, stages=["baselines", "joint", "generation"])
    with pytest.raises(RunError, match="--accept-changes"):
        run_memory(more, out)
    assert run_memory(more, out, accept_changes=True)["status"] == "completed"
    assert yaml.safe_load((out / "memory.yaml").read_text())["stages"] == ["baselines", "joint", "generation"]
    (out / "summary.json").unlink()
    (out / "gates.json").write_text("[{")
    with pytest.raises(RunError, match=r"gates.json is damaged"):
        run_memory(more, out)


def test_commands_for_training_runs_refuse_a_memory_run_by_name(plain: dict[str, Any], tmp_path: Path) -> None:
    out, runner = tmp_path / "run", CliRunner()
    run_memory(config(plain, stages=["baselines", "joint"]), out)
    shown = runner.invoke(app, ["show", str(out)], catch_exceptions=False)
    solved = json.loads((out / "summary.json").read_text())["metrics"]["joint"]["solved"]
    assert shown.exit_code == 0 and f"{solved} of 5 pairs solved" in shown.output and "gate: joint" in shown.output
    for command in (
        ["resume", str(out)],
        ["replay", str(out)],
        ["sample", str(out)],
        ["fork", str(out), "--at", "3", "--out", str(tmp_path / "child")],
        ["chaos", str(out), "--at", "3", "--out", str(tmp_path / "chaos")],
    ):
        with pytest.raises(RunError, match=r"holds a memory run.*`trimtab memory run .*memory\.yaml --out"):
            runner.invoke(app, command, catch_exceptions=False)
