"""Experiments from end to end: pairings, executors, resuming, verdicts that are true to the records."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.specs import GUARDED, SHORT, SMALL, ended_at, ends, spec
from tests.training.small_runs import weights
from trimtab.config import ConfigError, RunError, allowing_code, config_hash
from trimtab.experiments import RunOptions, load_experiment, run_experiment
from trimtab.experiments.jobs import Job, run_job
from trimtab.experiments.reading import EpisodeResult, figures_of
from trimtab.experiments.verdicts.verdict_metrics import verdicts
from trimtab.records import RunDirectory
from trimtab.records.experiment_files import SAME_AS
from trimtab.regimes import Controller, Decision
from trimtab.reports.experiment import write_report
from trimtab.runtime.events import RunEvent
from trimtab.training import RunConfig, RunContext, train
from trimtab.training.metrics import metrics_of

QUIET = RunOptions()


class Brake(Controller):
    """Harms: stops learning after a few steps."""

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        return Decision("brake", episode=episode_config.changed(lr_factor=0.001)) if state.step == 5 else None


def verdict(result: dict[str, Any], treatment: str, metric: str = "val_loss") -> dict[str, Any]:
    (outcome,) = [v for v in result["verdicts"] if (v["treatment"], v["metric"]) == (treatment, metric)]
    return dict(outcome)


def loss(out: Path, arm: str, seed: int) -> float:
    summary = RunDirectory(out / "episodes" / arm / f"seed-{seed}").summary()
    assert summary is not None
    return float(summary.metrics["val_loss"])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("guarded") / "e"
    return out, run_experiment(spec(**GUARDED, seeds=6), out, QUIET)


def test_an_experiment_on_a_relative_path_is_reused_from_where_the_same_text_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "my.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    pairing = {"name": "fork", "at": 20}
    monkeypatch.chdir(tmp_path / "here")
    forked = spec(data={"context": 32, "stride": 32, "path": "my.txt"}, pairing=pairing)
    run_experiment(forked, tmp_path / "e", QUIET)
    child = RunDirectory(tmp_path / "e" / "episodes" / "hot" / "seed-0").manifest()
    assert child.config["data"]["path"] == str(tmp_path / "here" / "my.txt")
    assert child.parent is not None and "data" not in child.parent.changed
    seen: list[RunEvent] = []
    ended = ended_at(tmp_path / "e")
    monkeypatch.chdir(tmp_path / "there")
    assert run_experiment(forked, tmp_path / "e", RunOptions(events=seen.append))["status"] == "completed"
    assert len(ends(seen)) == 4 and all(end.reused for end in ends(seen))
    assert ended_at(tmp_path / "e") == ended


def test_differences_are_those_of_the_records(tmp_path: Path) -> None:
    result = run_experiment(spec(seeds=3), tmp_path / "e", QUIET)
    differences = [loss(tmp_path / "e", "hot", seed) - loss(tmp_path / "e", "plain", seed) for seed in range(3)]
    outcome = verdict(result, "hot")
    assert outcome["mean_difference"] == pytest.approx(np.mean(differences))
    assert outcome["sd_difference"] == pytest.approx(np.std(differences, ddof=1))
    assert (outcome["n"], outcome["verdict"], outcome["pairing"]) == (3, "estimate only", "seed")
    assert json.loads((tmp_path / "e" / "verdicts.json").read_text())[0]["sentence"] == outcome["sentence"]


def test_every_episode_has_the_figures_that_a_claim_may_name(guarded: tuple[Path, dict[str, Any]]) -> None:
    summary = RunDirectory(guarded[0] / "episodes/plain/seed-0").summary()
    assert summary is not None and {one.name for one in metrics_of(RunConfig()).always} <= set(figures_of(summary))


def test_a_lazy_fork_is_the_run_in_full_bit_for_bit(tmp_path: Path, guarded: tuple[Path, dict[str, Any]]) -> None:
    out, _ = guarded
    saved = []
    for seed in (0, 1, 2):
        episode = out / "episodes" / "guard" / f"seed-{seed}"
        manifest = RunDirectory(episode).manifest()
        saved.append(manifest.parent.step if manifest.parent is not None else 0)
        train(spec(**GUARDED).config("guard", seed, {}), tmp_path / f"full-{seed}")
        assert weights(episode) == weights(tmp_path / f"full-{seed}")
        full = {(r["attempt"], r["step"]): r["train_loss"] for r in RunDirectory(tmp_path / f"full-{seed}").steps()}
        mine = {(r["attempt"], r["step"]): r["train_loss"] for r in RunDirectory(episode).steps()}
        assert mine == {place: value for place, value in full.items() if place in mine}
    assert min(saved) > 0  # something was saved at all
    kinds = {row["kind"] for seed in range(6) for row in RunDirectory(out / "episodes/guard" / f"seed-{seed}").events()}
    assert "decision_skip" in kinds and "rewind" in kinds


def test_a_controller_that_never_acts_costs_nothing_and_differs_by_zero(guarded: tuple[Path, dict[str, Any]]) -> None:
    out, result = guarded
    outcome = verdict(result, "never")
    assert (outcome["mean_difference"], outcome["sd_difference"], outcome["p_value"], outcome["e_value"]) == (
        0.0,
        0.0,
        1.0,
        1.0,
    )
    assert (outcome["nonzero"], outcome["verdict"]) == (0, "equivalent")
    assert all((out / "episodes" / "never" / f"seed-{seed}" / SAME_AS).exists() for seed in range(6))
    progress = json.loads((out / "experiment.json").read_text())
    assert progress["episodes"]["episodes/never/seed-0"]["saved_steps"] == 40


def test_an_arm_that_never_acted_is_looked_at_again(tmp_path: Path, guarded: tuple[Path, dict[str, Any]]) -> None:
    out, _ = guarded
    config = spec(**GUARDED).config("guard", 0, {}).model_dump(mode="json")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / SAME_AS).write_text("{}")  # as if its controller had been another one then
    job = Job("guard", 0, str(tmp_path / "e"), config, "training", "lazy_fork", str(out / "episodes/plain/seed-0"))
    assert run_job(job, RunContext())["status"] == "completed"
    assert weights(tmp_path / "e") == weights(out / "episodes/guard/seed-0")


def test_a_controller_that_harms_is_inferior(tmp_path: Path) -> None:
    arms = {"plain": {}, "brake": {"episode.regime_controller": {"name": "tests.experiments.test_run:Brake"}}}
    result = run_experiment(spec(pairing={"name": "lazy_fork"}, arms=arms, seeds=8), tmp_path / "e", QUIET)
    assert verdict(result, "brake")["verdict"] == "inferior"


def test_a_fork_shares_everything_up_to_its_step(tmp_path: Path) -> None:
    run_experiment(spec(pairing={"name": "fork", "at": 17}), tmp_path / "e", QUIET)
    for seed in (0, 1):
        child = RunDirectory(tmp_path / "e" / "episodes" / "hot" / f"seed-{seed}")
        parent = child.manifest().parent
        assert parent is not None
        assert (parent.step, child.steps()[0]["step"]) == (17, 18)
        base = RunDirectory(tmp_path / "e" / "episodes" / "plain" / f"seed-{seed}").steps()
        assert child.steps()[0]["train_loss"] == base[17]["train_loss"]


def test_a_finished_experiment_is_not_run_again_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    first = run_experiment(spec(), tmp_path / "e", QUIET)
    seen: list[RunEvent] = []
    again = run_experiment(spec(), tmp_path / "e", RunOptions(events=seen.append))
    assert again["verdicts"] == first["verdicts"]
    assert len(ends(seen)) == 4 and all(end.reused for end in ends(seen))
    with pytest.raises(RunError, match="another experiment"):
        run_experiment(spec(seeds=3), tmp_path / "e", QUIET)


def test_an_episode_made_under_other_conditions_is_not_reused(tmp_path: Path) -> None:
    run_experiment(spec(), tmp_path / "e", QUIET)
    path = tmp_path / "e" / "episodes" / "hot" / "seed-1" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["environment"]["source_hash"] = "0" * 64
    path.write_text(json.dumps(manifest))
    seen: list[RunEvent] = []
    result = run_experiment(spec(), tmp_path / "e", RunOptions(events=seen.append))
    assert result["status"] == "failed"
    assert any("other conditions" in str(end.reason) and "code" in str(end.reason) for end in ends(seen))
    # what an earlier try left in the folder of a failed episode is no half of a pair
    outcome = verdict(result, "hot")
    assert (outcome["n"], outcome["seeds"], outcome["planned"]) == (1, [0], 2)
    (failed,) = outcome["failed"]
    assert failed["episode"] == "episodes/hot/seed-1"
    assert "other conditions" in failed["error"]
    assert result["failed"] == [failed]
    assert "1 seed pair," in outcome["sentence"]
    assert "1 of 2 planned pairs finished; 1 lack an episode that failed (episodes/hot/seed-1: " in outcome["sentence"]
    write_report(tmp_path / "e")
    page = (tmp_path / "e/report.html").read_text()
    assert "1 of 4 episodes failed (1 of hot)" in page
    assert "other conditions" in page


@pytest.mark.parametrize("name", ["y" * 300, "a\0b", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_built(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"cannot be used: .*--out") as caught:
        run_experiment(spec(), tmp_path / name, QUIET)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_names_and_values_that_are_no_folder_names_run_go_on_and_are_reported(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("to be or not to be that is the question " * 60)
    paths = [f"{tmp_path}/{name}" for name in ("one.txt", "two.txt")]
    arms: dict[str, Any] = {
        "plain": {},
        "../../<b>|$x_{^ [a](b) \\frac": {"episode.clip": 0.5},
        "x" * 300: {"episode.clip": 0.4},
    }
    short = {**SMALL["episode"], "steps": 2, "evaluate_every": 2}
    design = spec(arms=arms, factors={"data.path": paths}, episode=short, question="Is <i>this</i> | $a_{$ safe?")
    out = tmp_path / "deep" / "er" / "e"
    result = run_experiment(design, out, QUIET)
    assert result["status"] == "completed"
    assert {entry.name for entry in tmp_path.iterdir()} == {"one.txt", "two.txt", "deep"}
    assert len(list((out / "episodes").glob("*/*/*/summary.json"))) == 12
    seen: list[RunEvent] = []
    assert run_experiment(design, out, RunOptions(events=seen.append))["verdicts"] == result["verdicts"]
    assert len(ends(seen)) == 12 and all(end.reused for end in ends(seen))
    write_report(out)
    page = (out / "report.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;|$x_{^ [a](b) \\frac" in page
    assert {v["treatment"] for v in result["verdicts"]} == set(arms) - {"plain"}


def test_data_that_cannot_be_read_are_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("x")
    with pytest.raises(ConfigError, match="The arm 'bad' cannot be trained, so nothing was run"):
        arms = {"plain": {}, "bad": {"data.path": str(tmp_path / "short.txt")}}
        run_experiment(spec(arms=arms), tmp_path / "e", QUIET)
    assert not (tmp_path / "e").exists()


def test_a_log_claim_on_a_figure_that_is_0_is_inconclusive_and_costs_nothing_else(tmp_path: Path) -> None:
    claim = {"metric": "val_accuracy", "higher_is_better": True, "margin": 0.1, "scale": "log"}
    design = spec(claim=claim)
    rows = [EpisodeResult(arm, seed, (), "completed", {"val_accuracy": 0.1 * seed, "val_loss": 1.0 + seed})
            for arm in design.arms for seed in design.seed_list]  # fmt: skip
    claimed, other = verdicts(design, rows)
    assert (claimed.verdict.verdict, claimed.verdict.claim) == ("inconclusive", "val_accuracy higher 0.1 log")
    assert "needs values above 0" in claimed.verdict.sentence
    assert other.verdict.metric == "val_loss"


def test_runs_that_are_capped_count_where_their_pair_is_complete() -> None:
    design = spec(seeds=3)
    figures = {"val_loss": 9.0, "untrained_loss": 5.0}
    rows = [EpisodeResult("plain", seed, (), "diverged", figures) for seed in range(3)]
    rows += [EpisodeResult("hot", 0, (), "completed", {"val_loss": 2.0, "untrained_loss": 5.0})]
    (result,) = [judged.verdict for judged in verdicts(design, rows) if judged.verdict.metric == "val_loss"]
    assert (result.n, result.capped) == (1, 1)


def test_processes_give_what_this_process_gives(tmp_path: Path) -> None:
    inline = run_experiment(spec(**GUARDED), tmp_path / "inline", QUIET)
    spread = run_experiment(spec(**GUARDED), tmp_path / "spread", RunOptions(workers=2))
    assert spread["verdicts"] == inline["verdicts"]
    for seed in (0, 1):
        assert weights(tmp_path / "inline/episodes/guard" / f"seed-{seed}") == weights(
            tmp_path / "spread/episodes/guard" / f"seed-{seed}"
        )


def test_an_interrupted_experiment_goes_on(tmp_path: Path) -> None:
    whole = run_experiment(spec(), tmp_path / "whole", QUIET)
    seen: list[RunEvent] = []
    halted = run_experiment(
        spec(), tmp_path / "e", RunOptions(events=seen.append, stop=lambda: "enough" if ends(seen) else None)
    )
    assert halted["status"] == "interrupted" and len(ends(seen)) == 1
    assert halted["verdicts"] == [] and not (tmp_path / "e" / "verdicts.json").exists()
    assert run_experiment(spec(), tmp_path / "e", QUIET)["verdicts"] == whole["verdicts"]


def test_factors_are_crossed_and_sensitivity_is_the_mean_excess(tmp_path: Path) -> None:
    experiment = spec(
        factors={"episode.optimizer.lr": [0.001, 0.01, 0.1]},
        arms={"base": {}, "qk": {"model.qk_norm": True}},
        derived={"name": "sensitivity", "over": "episode.optimizer.lr"},
        claim={"metric": "sensitivity", "higher_is_better": False, "margin": 0.02},
    )
    result = run_experiment(experiment, tmp_path / "e", QUIET)
    table = {}
    for arm in ("base", "qk"):
        for seed in (0, 1):
            losses = []
            for lr in (0.001, 0.01, 0.1):
                summary = RunDirectory(tmp_path / "e/episodes" / arm / f"seed-{seed}" / f"lr-{lr}").summary()
                assert summary is not None
                losses.append(
                    min(summary.metrics["val_loss"], summary.metrics["untrained_loss"])
                    if summary.status == "diverged"
                    else summary.metrics["val_loss"]
                )
            table[arm, seed] = np.mean(np.array(losses) - min(losses))
    expected = np.mean([table["qk", seed] - table["base", seed] for seed in (0, 1)])
    assert verdict(result, "qk", "sensitivity")["mean_difference"] == pytest.approx(expected)


def test_a_sequential_experiment_stops_when_it_is_decided(tmp_path: Path) -> None:
    arms = {"plain": {}, "brake": {"episode.optimizer.lr": 1e-6}}
    result = run_experiment(spec(arms=arms, seeds=12, sequential=True, episode=SHORT), tmp_path / "e", QUIET)
    outcome = verdict(result, "brake")
    assert outcome["verdict"] == "inferior"
    assert 6 <= outcome["n"] < 12
    assert len(list((tmp_path / "e/episodes/plain").iterdir())) == outcome["n"]
    assert (
        outcome["mean_difference"] == pytest.approx(np.mean(outcome["differences"]))
        and len(outcome["seeds"]) == outcome["n"]
    )
    low, high = outcome["confidence_interval"]
    assert low < outcome["mean_difference"] < high and np.isnan(outcome["p_value"])


def test_every_figure_of_a_sequential_verdict_is_of_the_pairs_that_decided_it(tmp_path: Path) -> None:
    brake = {"episode.regime_controller": {"name": "tests.experiments.test_run:Brake"}}
    arms = {"plain": {}, "brake": brake, "same": {"episode.clip": 0.999}}  # the third goes on to the end
    result = run_experiment(spec(arms=arms, seeds=9, sequential=True, episode=SHORT), tmp_path / "e", QUIET)
    outcome = next(v for v in result["verdicts"] if v["treatment"] == "brake" and v["higher_is_better"] is not None)
    assert outcome["n"] == len(outcome["differences"]) < 9 and outcome["level"] == 0.975
    assert outcome["mean_difference"] == pytest.approx(np.mean(outcome["differences"]))
    write_report(tmp_path / "e")
    assert outcome["sentence"] in (tmp_path / "e/report.html").read_text()


def test_runs_that_all_diverged_are_not_equivalent(tmp_path: Path) -> None:
    wild = {"episode.optimizer.lr": 50.0, "episode.diverged_after": 5}
    result = run_experiment(
        spec(arms={"wild": wild, "wilder": {**wild, "episode.optimizer.lr": 90.0}}), tmp_path / "e", QUIET
    )
    outcome = result["verdicts"][0]
    assert (
        outcome["capped"] == 4 and outcome["verdict"] == "inconclusive" and "all 4 runs diverged" in outcome["sentence"]
    )
    accuracy = next(v for v in result["verdicts"] if v["metric"] == "val_accuracy")
    summary = RunDirectory(tmp_path / "e/episodes/wild/seed-1").summary()
    assert summary is not None and accuracy["capped"] == 4
    own, untrained = summary.metrics["val_accuracy"], summary.metrics["untrained"]["val_accuracy"]
    assert accuracy["baseline_values"][1] == max(own, untrained)


def test_a_folder_started_and_killed_is_continued_and_a_foreign_one_refused(tmp_path: Path) -> None:
    whole = run_experiment(spec(), tmp_path / "e", QUIET)
    (tmp_path / "e" / "experiment.yaml").unlink()  # as if killed between the two files
    assert run_experiment(spec(), tmp_path / "e", QUIET)["verdicts"] == whole["verdicts"]
    assert (tmp_path / "e" / "experiment.yaml").exists()
    for content in ("{}", "[]", "null"):
        (tmp_path / "e" / "experiment.json").write_text(content)
        with pytest.raises(RunError, match=r"experiment\.json"):
            run_experiment(spec(), tmp_path / "e", QUIET)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        run_experiment(spec(), tmp_path / "file", QUIET)


def test_a_diverged_run_is_capped_and_counted(tmp_path: Path) -> None:
    arms = {"plain": {}, "wild": {"episode.optimizer.lr": 50.0, "episode.diverged_after": 5}}
    result = run_experiment(spec(arms=arms), tmp_path / "e", QUIET)
    outcome = verdict(result, "wild")
    assert outcome["capped"] == 2
    for seed in (0, 1):
        summary = RunDirectory(tmp_path / "e/episodes/wild" / f"seed-{seed}").summary()
        assert summary is not None and summary.status == "diverged"
    assert outcome["mean_difference"] < 3.0  # at most the untrained model's loss


def test_an_episode_may_name_the_code_that_the_experiment_names_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends an experiment's folder may have changed its manifests."""
    brake = {"episode.regime_controller": {"name": "tests.experiments.test_run:Brake"}}
    short = {"arms": {"plain": {}, "brake": brake}, "episode": {**SMALL["episode"], "steps": 4}}
    run_experiment(spec(**short), tmp_path / "e", QUIET)
    episode = RunDirectory(tmp_path / "e/episodes/brake/seed-1")
    episode.summary_path.unlink()
    (tmp_path / "evil_part.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    run_experiment(spec(**short), tmp_path / "e", QUIET)  # goes on: its manifest names what the experiment names
    assert episode.summary() is not None
    manifest = json.loads(episode.manifest_path.read_text())
    manifest["config"]["hooks"] = [{"name": "evil_part:Part", "enabled": False}]
    manifest["config_hash"] = config_hash(manifest["config"])
    episode.manifest_path.write_text(json.dumps(manifest))
    episode.summary_path.unlink()
    result = run_experiment(spec(**short), tmp_path / "e", QUIET)
    assert result["status"] == "failed" and not (tmp_path / "executed").exists()
    named = r"experiment\.yaml belongs to the records of .* names code to execute: 'tests\.experiments\.test_run:Brake'"
    with pytest.raises(RunError, match=named):
        load_experiment(tmp_path / "e/experiment.yaml")
    with allowing_code(True):
        assert load_experiment(tmp_path / "e/experiment.yaml").arms == spec(**short).arms
