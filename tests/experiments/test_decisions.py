"""From the records of an experiment to a policy, and to runs that follow it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.ledgers import LEDGER, make_ledger
from tests.experiments.specs import spec
from tests.experiments.test_run import QUIET
from tests.regimes.parts import policy
from tests.training.small_runs import DECODER, config, weights
from trimtab.config import REGISTRIES, ConfigError, EpisodeConfig
from trimtab.errors import RunError
from trimtab.experiments import run_experiment
from trimtab.experiments.decisions import read_ledger
from trimtab.records import RunDirectory
from trimtab.regimes import observations
from trimtab.regimes.actions import action_of
from trimtab.regimes.fitting import fit
from trimtab.regimes.policy import policy_sha256, save_policy
from trimtab.runtime.context import RunContext
from trimtab.training.config import RunConfig
from trimtab.training.runs.lifecycle import resume, train


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("ledger") / "e")


def recorded(run: RunDirectory) -> dict[tuple[int, int], dict[str, Any]]:
    return {(row["attempt"], row["step"]): row for row in run.events() if row["kind"].startswith("decision")}


def replayed(run: RunDirectory) -> dict[tuple[int, int], tuple[str, str]]:
    """Kind and reason of every decision that the run's controller makes over its records."""
    config = run.manifest().config
    controller = REGISTRIES["regime_controller"].build(config["episode"]["regime_controller"])
    episode = EpisodeConfig.model_validate_json(json.dumps(config["episode"]))
    decisions, rows = {}, run.steps()
    for row, state in zip(rows, observations(rows), strict=True):
        decision = controller.update(state, episode)
        if decision is None or not decision.effective(state, episode):
            continue
        kind = "decision_clip" if decision.clip is not None else "decision"
        kind = kind if decision.action == "update" else f"decision_{decision.action}"
        decisions[row["attempt"], row["step"]] = (kind, decision.reason)
        episode = decision.episode or episode
    return decisions


def test_every_decision_is_a_point_with_its_effect(ledger: Path) -> None:
    found = read_ledger([ledger], "val_loss")
    expected = []
    for seed in range(3):
        run = RunDirectory(ledger / f"episodes/exploring/seed-{seed}")
        events = recorded(run)
        effects = json.loads((ledger / f"interventions/exploring/seed-{seed}/effects.json").read_text())
        for one in effects["interventions"]:
            event = events[one["attempt"], one["step"]]
            action = action_of(event["kind"], event["before"], event["after"])
            expected.append((seed, action, one["effect"]["val_loss"]))
    assert sorted((p.seed, p.action, p.effect) for p in found.points if p.action is not None) == sorted(expected)
    assert len(expected) == found.decisions - found.unmeasured > 6
    assert found.unmeasured > 3
    assert all(point.action in point.possible for point in found.points if point.action is not None)
    assert (found.runs, found.recorded, found.seeds, found.horizons) == (3, 3, [0, 1, 2], [6])
    idle = [point for point in found.points if point.action is None]
    assert idle and all(point.effect == 0 for point in idle)


def test_the_fingerprint_is_that_of_the_decisions_and_effects(ledger: Path, tmp_path: Path) -> None:
    shutil.copytree(ledger, tmp_path / "moved")
    first = read_ledger([ledger], "val_loss")
    assert read_ledger([tmp_path / "moved"], "val_loss").fingerprint == first.fingerprint
    assert read_ledger([ledger], "train_loss").fingerprint != first.fingerprint
    place = tmp_path / "moved/interventions/exploring/seed-0/effects.json"
    content = json.loads(place.read_text())
    content["interventions"][0]["effect"]["val_loss"] += 0.5
    place.write_text(json.dumps(content))
    assert read_ledger([tmp_path / "moved"], "val_loss").fingerprint != first.fingerprint
    content["weights_sha256"] = "0" * 64
    place.write_text(json.dumps(content))
    with pytest.raises(RunError, match="measured on another run"):
        read_ledger([tmp_path / "moved"], "val_loss")
    with pytest.raises(RunError, match="is not the folder of an experiment"):
        read_ledger([tmp_path], "val_loss")


def test_the_records_reproduce_the_decisions_of_exploring(ledger: Path) -> None:
    rewinds = 0
    for seed in range(3):
        run = RunDirectory(ledger / f"episodes/exploring/seed-{seed}")
        assert replayed(run) == {at: (row["kind"], row["reason"]) for at, row in recorded(run).items()}
        assert not [row for row in run.events() if row["kind"] == "rewind_refused"]  # the limit is known
        rewinds += run.steps()[-1]["attempt"]
    assert rewinds >= 2
    assert any("rewind" not in point.possible for point in read_ledger([ledger], "val_loss").points)


def test_the_order_of_folders_and_of_runs_in_them_does_not_matter(ledger: Path, tmp_path: Path) -> None:
    other = {**LEDGER, "seeds": [5, 3, 4]}
    run_experiment(spec(**other), tmp_path / "e", QUIET)
    one, two = read_ledger([ledger, tmp_path / "e"], "val_loss"), read_ledger([tmp_path / "e", ledger], "val_loss")
    assert one.fingerprint == two.fingerprint
    assert [vars(point) | {"features": None} for point in one.points] == [
        vars(point) | {"features": None} for point in two.points
    ]
    for name, policy_of in (("a", one), ("b", two)):
        save_policy(fit(policy_of.points, "q", policy_of.card).policy, tmp_path / name)
    assert policy_sha256(tmp_path / "a") == policy_sha256(tmp_path / "b")
    content = (tmp_path / "e/experiment.yaml").read_text()
    written = content.replace("- 5\n- 3\n- 4\n", "- 3\n- 4\n- 5\n")
    assert written != content
    (tmp_path / "e/experiment.yaml").write_text(written)
    assert read_ledger([ledger, tmp_path / "e"], "val_loss").fingerprint == one.fingerprint


def test_an_experiment_is_not_counted_twice(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ledger)
    for again in (ledger, ledger / "../e", tmp_path / "link"):
        with pytest.raises(ConfigError, match="is named twice"):
            read_ledger([ledger, again], "val_loss")
    shutil.copytree(ledger, tmp_path / "copy")
    with pytest.raises(RunError, match="hold the same run .* Name one of the experiments"):
        read_ledger([ledger, tmp_path / "copy"], "val_loss")


EPISODE, EFFECTS = "episodes/exploring/seed-0", "interventions/exploring/seed-0/effects.json"
Change = Callable[[Any], Any]


def rewrite(path: Path, change: Change) -> None:
    """Apply `change` to the content of a JSON file, or to the rows of a JSONL file."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        path.write_text(json.dumps(change(content) or content))
        return
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows) or rows))


def decision(rows: Any) -> dict[str, Any]:
    """The first decision that changes the learning rate."""
    return next(row for row in rows if row["kind"] == "decision")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("manifest.json", lambda c: c["config"].update(episode=5), "was changed by hand"),
        ("manifest.json", lambda c: c["config"]["episode"].update(regime_controller="x"), "was changed by hand"),
        ("events.jsonl", lambda rows: decision(rows).pop("attempt") and None, "a decision has no step or attempt"),
        ("events.jsonl", lambda rows: decision(rows).update(before={}), "was not possible by its records"),
        (
            "events.jsonl",
            lambda rows: decision(rows)["after"].update(lr_factor="x"),
            "the decision at step .*: lr_factor",
        ),
        ("events.jsonl", lambda rows: decision(rows)["after"].update(lr_factor=0.7), "was not possible by its records"),
        ("events.jsonl", lambda rows: decision(rows).update(after=[1]), "what it changed is not an object"),
        ("events.jsonl", lambda rows: decision(rows).update(after={"steps": 9}), "no decision changes steps"),
        ("events.jsonl", lambda rows: rows.remove(decision(rows)), r"with \d+ decisions, and the events .* have \d+"),
        ("events.jsonl", lambda rows: rows.append(decision(rows)), "has two decisions at step"),
        ("steps.jsonl", lambda rows: rows[5].pop("loss_ema") and None, "the row of step 6 has no loss_ema"),
        ("steps.jsonl", lambda rows: rows[5].update(val_loss=None), "the row of step 6 has no val_loss"),
        (
            "steps.jsonl",
            lambda rows: [{**row, "grad_share_over": "nan"} for row in rows],
            "a feature that is not finite",
        ),
        ("steps.jsonl", lambda rows: rows[:4], "has no row for the decision at step"),
    ],
)
def test_damaged_records_of_a_run_are_refused(
    ledger: Path, tmp_path: Path, file: str, change: Change, words: str
) -> None:
    shutil.copytree(ledger, tmp_path / "e")
    rewrite(tmp_path / "e" / EPISODE / file, change)
    with pytest.raises(RunError, match=words) as caught:
        read_ledger([tmp_path / "e"], "val_loss")
    assert "\n" not in str(caught.value)


def first(content: dict[str, Any]) -> dict[str, Any]:
    return content["interventions"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda content: first(content).update(step=1, attempt=7),
            r"at step 1 \(attempt 7\) that is not among the decisions",
        ),
        (lambda content: first(content).update(kind="decision_stop"), "the effect of a decision_stop .* is not among"),
        (lambda content: content["interventions"].append(first(content)), "or has it twice"),
        (lambda content: content.update(decisions=99), "was written for a run with 99 decisions"),
        (lambda content: first(content)["effect"].pop("val_loss") and None, "of the arm 'exploring' has no val_loss"),
    ],
)
def test_effects_that_do_not_fit_the_run_are_refused(ledger: Path, tmp_path: Path, change: Change, words: str) -> None:
    shutil.copytree(ledger, tmp_path / "e")
    rewrite(tmp_path / "e" / EFFECTS, change)
    with pytest.raises(RunError, match=words):
        read_ledger([tmp_path / "e"], "val_loss")


def test_effects_without_their_run_are_refused_and_runs_without_effects_are_counted(
    ledger: Path, tmp_path: Path
) -> None:
    shutil.copytree(ledger, tmp_path / "e")
    (tmp_path / "e" / EFFECTS).unlink()
    found = read_ledger([tmp_path / "e"], "val_loss")
    assert (found.runs, found.recorded, found.seeds) == (2, 3, [1, 2])
    shutil.rmtree(tmp_path / "e/episodes/exploring/seed-1")
    with pytest.raises(RunError, match="has effects of a run that is not in"):
        read_ledger([tmp_path / "e"], "val_loss")


def test_an_effect_that_is_not_finite_counts_as_not_measured(ledger: Path, tmp_path: Path) -> None:
    shutil.copytree(ledger, tmp_path / "e")
    rewrite(tmp_path / "e" / EFFECTS, lambda content: first(content)["effect"].update(val_loss="nan"))
    before, found = read_ledger([ledger], "val_loss"), read_ledger([tmp_path / "e"], "val_loss")
    assert (found.decisions, found.unmeasured, found.not_finite) == (before.decisions, before.unmeasured + 1, 1)
    assert len(found.points) == len(before.points) - 1


def test_a_policy_steers_lazy_forks_and_its_decisions_are_points_too(ledger: Path, tmp_path: Path) -> None:
    save_policy(policy({"lower_rate": -0.3, "rewind": -0.2}, feature="flagged_in_a_row"), tmp_path / "policy")
    learned = {"name": "learned", "path": str(tmp_path / "policy")}
    arms = {"plain": {}, "learned": {"episode.regime_controller": learned}}
    changes = {"arms": arms, "seeds": 2, "pairing": {"name": "lazy_fork"}}
    run_experiment(spec(**{**LEDGER, **changes}), tmp_path / "e", QUIET)
    first, second = read_ledger([ledger], "val_loss"), read_ledger([tmp_path / "e"], "val_loss")
    assert {point.action for point in second.points} >= {"lower_rate", None}
    assert len(read_ledger([ledger, tmp_path / "e"], "val_loss").points) == len(first.points) + len(second.points)
    acted = [path for path in (tmp_path / "e/episodes/learned").iterdir() if RunDirectory(path).exists()]
    assert acted and all(
        "predicted effect on val_loss" in row["reason"] for row in recorded(RunDirectory(acted[0])).values()
    )


def steered(folder: Path) -> RunConfig:
    """A run whose policy lowers the rate three times, and then clips."""
    save_policy(policy({"lower_rate": -0.3, "clip": -0.2}, feature="warming"), folder)
    return config(f"episode.regime_controller={{name: learned, path: '{folder}'}}", base=DECODER)


def test_a_learned_run_is_replayed_from_its_records_and_resumed_exactly(tmp_path: Path) -> None:
    settings = steered(tmp_path / "policy")
    train(settings, tmp_path / "whole")
    run = RunDirectory(tmp_path / "whole")
    made = {at: (row["kind"], row["reason"]) for at, row in recorded(run).items()}
    assert replayed(run) == made
    kinds = [kind for kind, _ in made.values()]
    assert kinds[:3] == ["decision"] * 3 and len(kinds) > 4 and set(kinds[3:]) == {"decision_clip"}
    stops = iter([None] * 17 + ["test"] * 9)  # between two of its decisions
    train(settings, tmp_path / "run", RunContext(stop=lambda: next(stops)))
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    assert {at: (row["kind"], row["reason"]) for at, row in recorded(RunDirectory(tmp_path / "run")).items()} == made


def test_a_policy_may_move_between_two_halves_of_a_run(tmp_path: Path) -> None:
    settings = steered(tmp_path / "policy")
    stops = iter([None] * 17 + ["test"] * 9)
    train(settings, tmp_path / "run", RunContext(stop=lambda: next(stops)))
    (tmp_path / "policy").rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match="no policy at"):
        resume(tmp_path / "run")
    result = resume(tmp_path / "run", [f"episode.regime_controller.path={tmp_path / 'moved'}"])
    assert result["status"] == "completed"


def test_a_run_is_not_resumed_under_another_policy(tmp_path: Path) -> None:
    settings = steered(tmp_path / "policy")
    stops = iter([None] * 17 + ["test"] * 9)
    train(settings, tmp_path / "run", RunContext(stop=lambda: next(stops)))
    assert RunDirectory(tmp_path / "run").manifest().config["episode"]["regime_controller"]["sha256"]
    save_policy(policy({"skip": -0.2}), tmp_path / "policy")
    with pytest.raises(ConfigError, match="is not the one that this config names"):
        resume(tmp_path / "run")
    overrides = ["episode.regime_controller.sha256=null"]
    with pytest.raises(RunError, match=r"episode\.regime_controller\.sha256: "):
        resume(tmp_path / "run", overrides)
    assert resume(tmp_path / "run", overrides, accept_changes=True)["status"] == "completed"
