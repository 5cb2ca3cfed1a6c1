"""Invariant 1: resume is exact, after kills with real signals, at any moment."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.small_runs import (
    DECODER,
    EVERYTHING,
    ROOT,
    SMALL,
    command,
    config,
    environment,
    options,
    started,
    weights,
)
from trimtab.config import ConfigError, DataError, RunError
from trimtab.records import RunDirectory, first_difference
from trimtab.records.checkpoints import checkpoint_path, checkpoint_steps
from trimtab.records.integrity import altered
from trimtab.training import RunContext, fork, replay, resume, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything on, never interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(config(*EVERYTHING, base=DECODER), out)
    return out


def killed_at(out: Path, *steps: int, rule: str = "") -> None:
    """Start a run and kill it with SIGKILL at each of the steps in turn, resuming in between."""
    hooks = json.loads(
        json.dumps([{"name": "tests.training.parts:KillsItsProcess", "at": s, "flag": f"{out}-{s}"} for s in steps])
    )
    everything = [item for item in EVERYTHING if not item.startswith("hooks=")]
    listed = EVERYTHING[1].removeprefix("hooks=[").removesuffix("]")
    killers = ", ".join(json.dumps(hook) for hook in hooks)
    arguments = options([*DECODER, *everything, f"hooks=[{listed}, {rule}{killers}]"])
    first = command("train", *arguments, "--out", str(out))
    assert first.returncode == -signal.SIGKILL, first.stderr
    for _ in steps[1:]:
        assert command("resume", str(out), "--allow-code").returncode == -signal.SIGKILL
    last = command("resume", str(out), "--allow-code")
    assert last.returncode == 0, last.stderr


def test_two_kills_change_nothing(whole: Path, tmp_path: Path) -> None:
    # Step 4 is before the first checkpoint (resume from the manifest), step 15 between two.
    killed_at(tmp_path / "run", 4, 15)
    assert weights(tmp_path / "run") == weights(whole)
    assert first_difference(RunDirectory(whole), RunDirectory(tmp_path / "run")) is None


@pytest.mark.parametrize("rule", ["sign_descent", "random_feedback"])
def test_a_kill_under_a_learning_rule_changes_nothing(tmp_path: Path, rule: str) -> None:
    hooks = EVERYTHING[1].removesuffix("]") + f", {{name: {rule}}}]"
    train(config(*EVERYTHING, hooks, base=DECODER), tmp_path / "whole")
    killed_at(tmp_path / "run", 9, rule=f"{{name: {rule}}}, ")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_no_step_is_recorded_twice_after_kills(whole: Path, tmp_path: Path) -> None:
    killed_at(tmp_path / "run", 11)  # the newest checkpoint is that of step 8: two rows stand after it
    rows = RunDirectory(tmp_path / "run").steps()
    assert [row["step"] for row in rows] == list(range(1, 25))
    evaluations = RunDirectory(tmp_path / "run").evaluations()
    assert [row["step"] for row in evaluations] == [8, 16, 24]


def test_a_kill_in_the_middle_of_writing_a_checkpoint(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    script = f"""
import os, signal
from tests.training.small_runs import DECODER, EVERYTHING, config
from trimtab.runtime import checkpoint
from trimtab.training import train
hashed, written = checkpoint.seal_of, []
def dying(path):
    written.append(path)
    if len(written) == 3:  # the second checkpoint: its model file is written, its optimiser file is not
        os.kill(os.getpid(), signal.SIGKILL)
    return hashed(path)
checkpoint.seal_of = dying
train(config(*EVERYTHING, base=DECODER), {str(out)!r})
"""
    process = subprocess.run([sys.executable, "-c", script], env=environment(), check=False, capture_output=True)
    assert process.returncode == -signal.SIGKILL
    leftovers = [entry.name for entry in (out / "checkpoints").iterdir() if entry.name.startswith(".tmp")]
    assert leftovers, "the kill did not fall into a write"
    resume(out)
    assert weights(out) == weights(whole)
    assert not [entry for entry in (out / "checkpoints").iterdir() if entry.name.startswith(".")]


def test_a_damaged_checkpoint_is_refused_and_an_older_one_used(whole: Path, tmp_path: Path) -> None:
    stopped = iter([None] * 19 + ["test"] * 9)
    train(config(*EVERYTHING, base=DECODER), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    folder = tmp_path / "run" / "checkpoints"
    newest = checkpoint_steps(folder)[-1]
    file = checkpoint_path(folder, newest) / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(whole)
    event = next(row for row in RunDirectory(tmp_path / "run").events() if row["kind"] == "resume")
    assert event["after"]["from_step"] < newest
    assert "optimizer.safetensors" in event["after"]["refused_checkpoints"][0]


def test_when_no_checkpoint_is_sound_it_says_so(tmp_path: Path) -> None:
    stopped = iter([None] * 6 + ["test"] * 9)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    for step in checkpoint_steps(tmp_path / "run" / "checkpoints"):
        state = checkpoint_path(tmp_path / "run" / "checkpoints", step) / "state.json"
        state.write_text(state.read_text()[:-40])
    with pytest.raises(RunError, match=r"No checkpoint in .* is intact.*state\.json"):
        resume(tmp_path / "run")


def test_a_half_line_in_the_records_is_dropped(tmp_path: Path) -> None:
    train(config(), tmp_path / "whole")
    stopped = iter([None] * 8 + ["test"] * 9)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    with (tmp_path / "run" / "steps.jsonl").open("a") as file:
        file.write('{"step": 10, "train_lo')
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["episode.optimizer.lr=0.01"], "optimizer.lr"),
        (["threads=2"], "threads"),
        (["data.stride=16"], "stride"),
    ],
)
def test_a_changed_config_is_named_and_accepted_only_on_request(tmp_path: Path, change: list[str], named: str) -> None:
    stopped = iter([None] * 8 + ["test"] * 99)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    with pytest.raises(RunError, match=named):
        resume(tmp_path / "run", change)
    assert resume(tmp_path / "run", change, accept_changes=True)["status"] == "completed"
    event = next(row for row in RunDirectory(tmp_path / "run").events() if row["kind"] == "resume")
    assert len([text for text in event["after"]["changes"] if named in text]) == 1


def test_a_changed_corpus_is_named(tmp_path: Path) -> None:
    text = tmp_path / "corpus.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    stopped = iter([None] * 8 + ["test"] * 99)
    train(config(f"data.path={text}"), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    text.write_text(text.read_text().replace("quick", "quiet", 1))
    with pytest.raises(RunError, match="corpus"):
        resume(tmp_path / "run")


def test_more_threads_than_cpus_may_be_recorded_but_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = iter([None] * 14 + ["test"] * 99)
    run = tmp_path / "run"
    train(config("threads=2"), run, RunContext(stop=lambda: next(stopped)))
    monkeypatch.setattr("trimtab.runtime.device.usable_cpus", lambda: 1)
    with pytest.raises(ConfigError, match="threads: 2 threads were requested, and this process may use 1 CPU "):
        train(config("threads=2"), tmp_path / "other")
    for ask in (
        lambda: resume(run, ["threads=3"], accept_changes=True),
        lambda: fork(run, 6, tmp_path / "child", ["threads=3"]),
    ):
        with pytest.raises(ConfigError, match="threads: 3"):
            ask()
    assert not (tmp_path / "other").exists() and not (tmp_path / "child").exists()
    assert replay(run).identical
    fork(run, 6, tmp_path / "child")
    assert resume(run)["status"] == "completed"
    assert weights(run) == weights(tmp_path / "child")


def test_a_run_on_a_relative_path_resumes_and_forks_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    monkeypatch.chdir(tmp_path)
    relative = config("data.path=corpus.txt")
    train(relative, tmp_path / "whole")
    stopped = iter([None] * 8 + ["test"] * 99)
    train(relative, tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    monkeypatch.chdir("/")
    assert RunDirectory(tmp_path / "run").manifest().config["data"]["path"] == str(tmp_path / "corpus.txt")
    resume(tmp_path / "run")
    fork(tmp_path / "run", 12, tmp_path / "child")
    assert weights(tmp_path / "run") == weights(tmp_path / "child") == weights(tmp_path / "whole")


def test_a_corpus_that_has_moved_and_is_the_same_is_no_change(tmp_path: Path) -> None:
    text = tmp_path / "corpus.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    stopped = iter([None] * 8 + ["test"] * 99)
    train(config(f"data.path={text}"), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    moved = text.rename(tmp_path / "moved.txt")
    with pytest.raises(DataError, match="corpus.txt' does not exist"):
        resume(tmp_path / "run")
    assert resume(tmp_path / "run", [f"data.path={moved}"])["status"] == "completed"
    assert RunDirectory(tmp_path / "run").manifest().config["data"]["path"] == str(moved)
    assert replay(tmp_path / "run").identical
    moved.write_text(moved.read_text().replace("quick", "quiet", 1))
    with pytest.raises(RunError, match="fingerprint"):
        resume(tmp_path / "run", ["episode.steps=30", f"data.path={moved}"])


def test_changed_code_is_named(tmp_path: Path) -> None:
    stopped = iter([None] * 8 + ["test"] * 99)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    path = tmp_path / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["environment"]["source_hash"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="code"):
        resume(tmp_path / "run")


def test_changed_source_of_a_users_own_component_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.py").write_text("from tests.tiny import TinyModel\n\n\nclass Theirs(TinyModel):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    stopped = iter([None] * 8 + ["test"] * 99)
    train(config("model={name: 'theirs:Theirs'}"), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    with (tmp_path / "theirs.py").open("a") as file:
        file.write("# edited\n")
    with pytest.raises(RunError, match="the source of the model 'theirs:Theirs'"):
        resume(tmp_path / "run")


def test_a_config_changed_by_hand_is_refused(tmp_path: Path) -> None:
    stopped = iter([None] * 8 + ["test"] * 99)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    path = tmp_path / "run" / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RunError, match="changed by hand"):
        resume(tmp_path / "run")


def test_a_longer_run_goes_on_exactly(tmp_path: Path) -> None:
    train(config("episode.steps=30"), tmp_path / "long")
    train(config(), tmp_path / "run")
    resume(tmp_path / "run", ["episode.steps=30"], accept_changes=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "long")


def test_resuming_an_ended_run_does_nothing(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    before = (tmp_path / "run" / "steps.jsonl").read_bytes()
    assert resume(tmp_path / "run")["already_ended"]
    assert (tmp_path / "run" / "steps.jsonl").read_bytes() == before


def test_ctrl_c_checkpoints_and_leaves_130(tmp_path: Path) -> None:
    train(config("episode.steps=400"), tmp_path / "whole")
    process = started("train", *options([*SMALL, "episode.steps=400"]), "--out", str(tmp_path / "run"))
    steps = tmp_path / "run" / "steps.jsonl"
    while process.poll() is None and not (steps.exists() and steps.stat().st_size > 2000):
        pass
    process.send_signal(signal.SIGINT)
    done = process.finish(60)
    assert done.returncode == 130, done.stderr
    assert "trimtab resume" in done.stderr
    assert RunDirectory(tmp_path / "run").status() == "interrupted"
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_ctrl_c_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal\nfrom tests.tiny import TinyModel\n\n\ndef model(vocabulary, context):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    return TinyModel(vocabulary=vocabulary, context=context)\n"
    )
    chosen = [*options(SMALL), "--set", "model={name: 'slow:model'}"]
    command = [sys.executable, "-m", "trimtab.cli.main", "train", *chosen]
    folders = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        env={**environment(), "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 130
    assert "before the first step" in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_accepted_change_survives_a_kill_right_after_it(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    stop = iter([None, *["test"] * 9])  # asked before the first step too
    resume(
        tmp_path / "run",
        ["episode.steps=30", "episode.clip=0.5"],
        accept_changes=True,
        context=RunContext(stop=lambda: next(stop)),
    )
    folder = tmp_path / "run" / "checkpoints"
    for file in checkpoint_path(folder, 25).iterdir():  # as if the kill had come before the checkpoint of step 25
        file.unlink()
    checkpoint_path(folder, 25).rmdir()
    assert resume(tmp_path / "run")["steps"] == 30
    assert any("clip" in row["reason"] for row in RunDirectory(tmp_path / "run").events() if row["kind"] == "resume")


def test_an_accepted_change_is_recorded_although_a_kill_came_before_its_event(tmp_path: Path) -> None:
    """The manifest is written first, so a kill right after it leaves nothing that differs."""
    train(config(), tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    killed_there = {"unrecorded_changes": ["the corpus: another one"]}
    run.manifest().model_copy(update=killed_there).write(run.manifest_path)
    run.summary_path.unlink()
    resume(run.path)
    (told,) = [row for row in run.events() if row["kind"] == "resume"]
    assert told["after"]["changes"] == ["the corpus: another one"]
    assert run.manifest().unrecorded_changes == []
    assert any("the corpus: another one" in change for change in replay(run.path).changes)


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="another model"):
        resume(tmp_path / "run", ["model.width=64"], accept_changes=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_stopped_run_that_is_killed_before_its_summary_stays_stopped(tmp_path: Path) -> None:
    train(config("episode.regime_controller={name: 'tests.training.parts:Skipper'}"), tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    result = resume(tmp_path / "run")
    assert (result["status"], result["steps"]) == ("stopped", 10)


def test_records_that_were_cut_short_are_made_again_from_an_older_checkpoint(tmp_path: Path) -> None:
    train(config(), tmp_path / "whole")
    stops = iter([None] * 20 + ["test"] * 9)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stops)))
    steps = tmp_path / "run" / "steps.jsonl"
    steps.write_bytes(steps.read_bytes()[:-700])
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    event = next(row for row in RunDirectory(tmp_path / "run").events() if row["kind"] == "resume")
    assert "steps.jsonl is not what the run wrote (" in event["after"]["refused_checkpoints"][0]


def test_skipped_files_and_unknown_characters_of_the_corpus_are_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.txt").write_text("the quick brown fox jumps over the lazy d\u00f6g\n" * 400)
    (folder / "b.bin").write_bytes(bytes(range(256)) * 8)
    train(config(f"data.path={folder}"), tmp_path / "run")
    told = next(row for row in RunDirectory(tmp_path / "run").events() if row["kind"] == "data")["reason"]
    assert "b.bin" in told and "400 unknown tokens" in told
    report = RunDirectory(tmp_path / "run").manifest().model_dump()["data"]["report"]
    assert report["unknown_tokens"] == 400 and report["skipped"][0]["name"].endswith("b.bin")


def test_altered_records_are_made_again_from_an_older_checkpoint_or_refused(tmp_path: Path) -> None:
    stopped = iter([None] * 19 + ["test"] * 9)
    train(config(), tmp_path / "run", RunContext(stop=lambda: next(stopped)))
    run = RunDirectory(tmp_path / "run")
    whole = run.steps_path.read_bytes()
    assert [path.stat().st_mode & 0o077 for path in run.checkpoints_path.rglob("*.safetensors")] == [0o044] * 6

    lines = whole.splitlines(keepends=True)
    run.steps_path.write_bytes(b"".join([*lines[:17], lines[17].replace(b'"lr": ', b'"lr": 1'), *lines[18:]]))
    shutil.copytree(run.path, tmp_path / "late")
    resume(tmp_path / "late")
    late = RunDirectory(tmp_path / "late")
    event = next(row for row in late.events() if row["kind"] == "resume")
    assert event["after"]["from_step"] == 16 and "steps.jsonl is not what the run wrote" in event["reason"]
    assert [row["lr"] for row in late.steps()] == [late.steps()[0]["lr"]] * 24
    assert altered(late.path, late.summary()) == []

    run.steps_path.write_bytes(b"".join([lines[0].replace(b'"lr": ', b'"lr": 1'), *lines[1:]]))
    before = run.steps_path.read_bytes()
    with pytest.raises(RunError, match=r"no checkpoint fits .* steps\.jsonl .*trimtab fork") as error:
        resume(run.path, accept_changes=True)
    assert "\n" not in str(error.value) and run.steps_path.read_bytes() == before
