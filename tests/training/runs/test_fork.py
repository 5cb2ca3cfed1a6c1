"""Invariant 3: a fork with no new decision is the original; forks at any step; replay tells the truth."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.small_runs import DECODER, EVERYTHING, config, weights
from trimtab.cli.commands import app
from trimtab.config import ConfigError, RunError
from trimtab.records import RunDirectory, first_difference
from trimtab.records.checkpoints import checkpoint_path
from trimtab.runtime.checkpoint import read_checkpoint
from trimtab.runtime.nested import join
from trimtab.training import RunContext, fork, replay, resume, train


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything on."""
    out = tmp_path_factory.mktemp("trunk") / "run"
    train(config(*EVERYTHING, base=DECODER), out)
    return out


@pytest.mark.parametrize("at", [0, 5, 18, 24])
def test_a_fork_without_a_decision_is_the_original(trunk: Path, tmp_path: Path, at: int) -> None:
    fork(trunk, at, tmp_path / "child")
    assert weights(tmp_path / "child") == weights(trunk)
    child = RunDirectory(tmp_path / "child")
    assert [row["step"] for row in child.steps()] == list(range(at + 1, 25))
    assert child.steps() == [] or first_difference(RunDirectory(trunk), child) is None
    parent = child.manifest().parent
    assert parent is not None
    assert (parent.run_id, parent.step) == (RunDirectory(trunk).manifest().run_id, at)


def test_a_fork_parts_at_its_own_decision(trunk: Path, tmp_path: Path) -> None:
    fork(trunk, 10, tmp_path / "child", ["episode.lr_factor=0.5"])
    parting = first_difference(RunDirectory(trunk), RunDirectory(tmp_path / "child"))
    assert parting is not None
    assert parting.step == 11
    assert weights(tmp_path / "child") != weights(trunk)


def test_a_fork_changes_the_learning_rate_from_its_step_on(trunk: Path, tmp_path: Path) -> None:
    fork(trunk, 12, tmp_path / "child", ["episode.optimizer.lr=0.5"])
    before, after = RunDirectory(trunk).steps()[12], RunDirectory(tmp_path / "child").steps()[0]
    assert after["lr"] == pytest.approx(before["lr"] * 0.5 / 3e-4)
    assert after["train_loss"] == before["train_loss"]


def test_a_fork_of_a_fork(trunk: Path, tmp_path: Path) -> None:
    fork(trunk, 7, tmp_path / "child")
    fork(tmp_path / "child", 13, tmp_path / "grandchild")
    assert weights(tmp_path / "grandchild") == weights(trunk)


def test_a_child_with_another_future_has_other_noise(trunk: Path, tmp_path: Path) -> None:
    fork(trunk, 12, tmp_path / "child", ["seed=5"])
    assert weights(tmp_path / "child") != weights(trunk)


def test_a_child_killed_before_its_first_checkpoint_resumes_from_its_parent(trunk: Path, tmp_path: Path) -> None:
    stop = iter([None, "test", None])
    fork(trunk, 8, tmp_path / "child", context=RunContext(stop=lambda: next(stop)))
    for entry in sorted((tmp_path / "child" / "checkpoints").iterdir()):
        for file in entry.iterdir():
            file.unlink()
        entry.rmdir()
    resume(tmp_path / "child")
    assert weights(tmp_path / "child") == weights(trunk)


@pytest.mark.parametrize(
    "change", ["model.width=64", "episode.optimizer={name: muon}", "data.tokenizer.policy=ascii128"]
)
def test_a_fork_that_does_not_fit_the_state_is_refused(trunk: Path, tmp_path: Path, change: str) -> None:
    with pytest.raises(RunError, match="another|does not fit"):
        fork(trunk, 6, tmp_path / "child", [change])
    assert not (tmp_path / "child").exists()


def test_bad_forks_are_refused_and_leave_nothing(trunk: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="steps 0 to 24; step 99"):
        fork(trunk, 99, tmp_path / "child")
    with pytest.raises(ConfigError, match="clipp"):
        fork(trunk, 6, tmp_path / "child", ["episode.clipp=1"])
    with pytest.raises(RunError, match="no manifest"):
        fork(tmp_path / "nothing", 6, tmp_path / "child")
    assert not (tmp_path / "child").exists()


def test_replay_is_identical(trunk: Path, tmp_path: Path) -> None:
    result = replay(trunk)
    assert result.identical
    assert (result.steps, result.difference, result.weights_identical) == (24, None, True)
    fork(trunk, 9, tmp_path / "child")
    assert replay(tmp_path / "child").identical


def test_replay_names_the_first_step_that_differs(trunk: Path, tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    path = tmp_path / "run" / "steps.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[6]["train_loss"] += 1e-12
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = replay(tmp_path / "run")
    assert not result.identical
    assert result.difference is not None
    assert (result.difference.step, result.difference.column) == (7, "train_loss")


def test_replay_sees_other_weights(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    summary = run.summary()
    assert summary is not None
    summary.model_copy(update={"weights_sha256": "0" * 64}).write(run.summary_path)
    result = replay(tmp_path / "run")
    assert result.difference is None
    assert result.weights_identical is False
    assert not result.identical


def test_replay_reports_the_environment(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["environment"]["torch"] = "1.0"
    path.write_text(json.dumps(manifest))
    assert any("torch" in change and "1.0" in change for change in replay(tmp_path / "run").changes)


def test_a_fork_between_the_checkpoints_of_an_extended_run(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    resume(tmp_path / "run", ["episode.steps=34"], accept_changes=True)
    fork(tmp_path / "run", 27, tmp_path / "child")
    assert [row["step"] for row in RunDirectory(tmp_path / "child").steps()] == list(range(28, 35))
    assert weights(tmp_path / "child") == weights(tmp_path / "run")


def test_an_override_counts_although_a_controller_had_moved_the_key(trunk: Path, tmp_path: Path) -> None:
    fork(trunk, 12, tmp_path / "child", ["episode.lr_factor=1.0"])
    before, after = RunDirectory(trunk).steps()[12], RunDirectory(tmp_path / "child").steps()[0]
    assert after["lr"] == pytest.approx(before["lr"] / 0.9**2)  # the controller had lowered it twice


def test_a_fork_of_a_run_whose_corpus_changed_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "corpus.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    train(config(f"data.path={text}"), tmp_path / "run")
    text.write_text(text.read_text().replace("quick", "quiet", 1))
    with pytest.raises(RunError, match="corpus"):
        fork(tmp_path / "run", 18, tmp_path / "child")
    fork(tmp_path / "run", 18, tmp_path / "child", accept_changes=True)
    assert any("corpus" in change for change in replay(tmp_path / "run").changes)


def test_another_hook_in_front_costs_a_rule_no_state(tmp_path: Path) -> None:
    train(config("hooks=[{name: sign_descent}]"), tmp_path / "run")
    front = "hooks=[{name: activation_stats, every: 3}, {name: sign_descent}]"
    fork(tmp_path / "run", 12, tmp_path / "child", [front])
    assert weights(tmp_path / "child") == weights(tmp_path / "run")


def test_replay_misses_rows_that_are_gone(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    steps = tmp_path / "run" / "steps.jsonl"
    rows = steps.read_text().splitlines(keepends=True)
    without_loss = {key: value for key, value in json.loads(rows[6]).items() if key != "train_loss"}
    damages = [(rows[:3], 3), ([*rows[:6], json.dumps(without_loss) + "\n", *rows[7:]], 23), ([], 0)]
    for left, compared in damages:
        steps.write_text("".join(left))
        result = replay(tmp_path / "run")
        assert (result.steps, result.expected, result.difference, result.weights_identical) == (
            compared,
            24,
            None,
            True,
        )
        assert not result.losses_identical and not result.identical


def test_replay_without_rows_says_that_nothing_was_compared(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    (tmp_path / "run" / "steps.jsonl").unlink()
    result = CliRunner().invoke(app, ["replay", str(tmp_path / "run")], catch_exceptions=False)
    assert result.exit_code == 1
    assert "24 of the 24 steps up to step 24 have no loss in" in result.output
    assert "Every loss is identical" not in result.output and "The weights are identical" in result.output


def test_replay_says_which_checkpoint_it_ends_with_and_why(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()  # as after a kill
    assert replay(tmp_path / "run").notes == []
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    with (newest / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\xff\xff\xff\xff")
    outcome = replay(tmp_path / "run")
    assert outcome.identical and outcome.until == outcome.steps == 18
    assert "step-00000024 is damaged: model.safetensors" in outcome.notes[0]
    assert outcome.notes[1] == (
        "The newest sound checkpoint is of step 18, and the records end with step 24; the replay ends there."
    )
    result = CliRunner().invoke(app, ["replay", str(tmp_path / "run")], catch_exceptions=False)
    assert result.exit_code == 0 and outcome.notes[1] in result.output and "18 steps compared" in result.output


def test_a_child_whose_own_first_checkpoint_is_damaged_is_replayed_from_its_parent(trunk: Path, tmp_path: Path) -> None:
    fork(trunk, 20, tmp_path / "child")
    (tmp_path / "child" / "checkpoints" / "step-00000020" / "state.json").write_text("{}")
    result = replay(tmp_path / "child")
    assert result.identical and "started from the state of the parent" in result.notes[0]


def test_another_run_in_the_parents_place_is_not_taken_for_the_parent(tmp_path: Path) -> None:
    train(config(base=DECODER), tmp_path / "parent")
    fork(tmp_path / "parent", 10, tmp_path / "child")
    shutil.rmtree(tmp_path / "child" / "checkpoints")
    (tmp_path / "child" / "summary.json").unlink()
    shutil.rmtree(tmp_path / "parent")
    train(config("seed=1", base=DECODER), tmp_path / "parent")
    for command in (resume, replay):
        with pytest.raises(RunError, match="is a fork of the run .* holds the run"):
            command(tmp_path / "child")


@pytest.mark.parametrize("left", ["manifest", "event"])
def test_a_fork_killed_before_its_first_checkpoint_keeps_its_event(trunk: Path, tmp_path: Path, left: str) -> None:
    fork(trunk, 10, tmp_path / "whole", ["episode.lr_factor=0.5"])
    fork(trunk, 10, tmp_path / "child", ["episode.lr_factor=0.5"])
    child = RunDirectory(tmp_path / "child")
    rows = [row for row in child.events() if row["kind"] == "fork"]
    shutil.rmtree(child.checkpoints_path)
    for name in ("summary.json", "steps.jsonl", "evaluations.jsonl", "events.jsonl"):
        (child.path / name).unlink()
    if left == "event":
        child.events_path.write_text(json.dumps(rows[0]) + "\n")
    resume(child.path)
    events = child.events()
    whole = RunDirectory(tmp_path / "whole").events()
    assert [row["kind"] for row in events if row["kind"] in ("fork", "resume")] == ["fork", "resume"]
    (again,) = [row for row in events if row["kind"] == "fork"]
    (first,) = [row for row in whole if row["kind"] == "fork"]
    assert again["after"] == first["after"] and again["after"]["changed"] == ["episode.lr_factor"]
    assert weights(child.path) == weights(tmp_path / "whole")


def test_a_fork_under_another_loss_is_judged_by_that_loss_alone(trunk: Path, tmp_path: Path) -> None:
    """Twice the cross-entropy lies above the untrained model's cross-entropy: that is no divergence and no spike."""
    doubled = "episode.loss={name: 'tests.training.loop.test_passes:Doubled'}"
    changes = [doubled, "episode.diverged_after=3", "episode.regime_controller=null"]
    result = fork(trunk, 10, tmp_path / "child", changes)
    rows = RunDirectory(tmp_path / "child").steps()
    assert result["status"] == "completed" and not any("anomaly_flags" in row for row in rows)
    assert rows[0]["loss_ema"] == rows[0]["train_loss"] > result["untrained_loss"]
    last = read_checkpoint(checkpoint_path(RunDirectory(tmp_path / "child").checkpoints_path, 24))[0]
    baseline = join(last.values, last.optimizer)["divergence"]["baseline"]
    assert baseline == pytest.approx(2 * result["untrained_loss"], rel=1e-5)
    assert replay(tmp_path / "child").identical
