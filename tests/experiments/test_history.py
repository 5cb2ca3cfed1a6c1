"""What a controller remembers of the steps before a fork, by the records and by the controller itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.ledgers import LEDGER
from tests.experiments.specs import spec
from tests.experiments.test_run import QUIET
from trimtab.config import REGISTRIES, EpisodeConfig
from trimtab.errors import RunError
from trimtab.experiments import run_experiment
from trimtab.experiments.decisions import read_ledger
from trimtab.experiments.history import history
from trimtab.records import RunDirectory
from trimtab.regimes import observations
from trimtab.regimes.features import features
from trimtab.regimes.fitting import Point

EXPLORING = {"episode.regime_controller": {"name": "exploring", "flagged": 0.9, "calm": 0.4}}
FORK = {"name": "fork", "at": 16}


def made(folder: Path, **changes: Any) -> tuple[list[RunDirectory], list[Point]]:
    """The forks of an experiment, and the points of its ledger."""
    run_experiment(spec(**{**LEDGER, "seeds": 2, **changes}), folder, QUIET)
    forks = [RunDirectory(folder / f"episodes/exploring/seed-{seed}") for seed in range(2)]
    assert all(run.manifest().parent is not None for run in forks)
    return forks, read_ledger([folder], "val_loss").points


def replayed(run: RunDirectory, begin: int) -> dict[int, tuple[EpisodeConfig, np.ndarray, str | None]]:
    """Config, features and decision of a new controller at each of the run's own steps; it begins at the step after `begin`.

    Parents' decisions are those of the same controller.
    """
    manifest = run.manifest()
    assert manifest.parent is not None
    parent = RunDirectory(manifest.parent.path)
    before = [row for row in parent.steps() if row["step"] <= manifest.parent.step]
    controller = REGISTRIES["regime_controller"].build(manifest.config["episode"]["regime_controller"])
    episode = EpisodeConfig.model_validate_json(json.dumps(parent.manifest().config["episode"]))
    found = {}
    for index, state in enumerate(observations([*before, *run.steps()])):
        if index < begin:
            continue
        decision = controller.update(state, episode)
        reason = decision.reason if decision is not None and decision.effective(state, episode) else None
        found[index] = (episode, features(state, episode, controller.recent), reason)
        if decision is not None and decision.episode is not None:
            episode = decision.episode
    return found


def check(points: list[Point], seed: int, expected: dict[int, tuple[EpisodeConfig, np.ndarray, str | None]]) -> None:
    own = [point for point in points if point.seed == seed]
    assert [point for point in own if point.action is not None]
    for point in own:
        assert point.features == pytest.approx(expected[point.place][1])


def reasons(run: RunDirectory) -> list[str]:
    return [row["reason"] for row in run.events() if row["kind"].startswith("decision")]


def test_a_fork_with_a_new_controller_remembers_nothing_of_its_parent(tmp_path: Path) -> None:
    forks, points = made(tmp_path / "e", pairing=FORK, arms={"plain": {}, "exploring": EXPLORING})
    assert min(point.place for point in points) >= FORK["at"]
    for seed, run in enumerate(forks):
        past = history(run)
        assert (past.own, past.begin, past.points) == (16, 16, 16)
        expected = replayed(run, 16)
        assert [reason for _, _, reason in expected.values() if reason is not None] == reasons(run)
        check(points, seed, expected)


def test_a_lazy_fork_remembers_the_steps_of_its_parent(tmp_path: Path) -> None:
    late = {"episode.regime_controller": {"name": "exploring", "flagged": 0.9, "calm": 0.0}}
    episode = {**LEDGER["episode"], "rewind": {"every": 2, "limit": 2}, "checkpoint_every": 2}
    pairing = {"name": "lazy_fork"}
    forks, points = made(tmp_path / "e", pairing=pairing, arms={"plain": {}, "exploring": late}, episode=episode)
    assert any(point.place < history(forks[point.seed]).own for point in points)
    for seed, run in enumerate(forks):
        past = history(run)
        assert past.own == run.manifest().parent.step and (past.begin, past.points) == (0, 0)  # type: ignore[union-attr]
        check(points, seed, replayed(run, 0))


def test_a_fork_with_its_parents_controller_remembers_its_steps_and_keeps_its_rate(tmp_path: Path) -> None:
    """A decision of the parent may have lowered the learning rate's factor, which the fork starts with."""
    episode = {**LEDGER["episode"], "regime_controller": EXPLORING["episode.regime_controller"], "rewind": {"limit": 0}}
    arms = {"plain": {}, "exploring": {"episode.optimizer.lr": 0.01}}
    forks, points = made(tmp_path / "e", pairing=FORK, arms=arms, episode=episode)
    assert min(point.place for point in points) >= FORK["at"]
    factors = set()
    for seed, run in enumerate(forks):
        past = history(run)
        assert (past.own, past.begin, past.points) == (16, 0, 16)
        expected = replayed(run, 0)
        assert [reason for index, (_, _, reason) in expected.items() if index >= 16 and reason is not None] == reasons(
            run
        )
        check(points, seed, expected)
        factors.add(past.steps[16].episode.lr_factor)
    assert factors != {1.0}


def test_a_rewind_that_a_forks_controller_may_not_make_counts_as_a_skip(tmp_path: Path) -> None:
    """The run has one rewind left in all; its parent made it, which the fork's new controller does not know."""
    episode = {**LEDGER["episode"], "regime_controller": EXPLORING["episode.regime_controller"], "rewind": {"limit": 1}}
    arms = {"plain": {}, "exploring": {"episode.regime_controller": {"name": "exploring", "calm": 0.9}}}
    changes = {"pairing": FORK, "arms": arms, "episode": episode, "intervention_effects": {"steps": 6, "at_most": None}}
    forks, points = made(tmp_path / "e", **changes)
    refused = 0
    for seed, run in enumerate(forks):
        actions = {point.place: point.action for point in points if point.seed == seed}
        steps = history(run).steps
        for event in run.events():
            places = [index for index, step in enumerate(steps) if step.at == (event["attempt"], event["step"])]
            if event["kind"] == "rewind_refused" and (index := places[0]) in actions:
                refused += 1
                assert actions[index] == "skip"
    assert refused >= 1


def test_a_fork_whose_parent_was_replaced_is_refused(tmp_path: Path) -> None:
    forks, _ = made(tmp_path / "e", pairing=FORK, arms={"plain": {}, "exploring": EXPLORING})
    parent = Path(forks[0].manifest().parent.path)  # type: ignore[union-attr]
    parent.rename(tmp_path / "away")
    (tmp_path / "e/episodes/plain/seed-1").rename(parent)
    with pytest.raises(RunError, match="is a fork of the run .* now holds the run"):
        read_ledger([tmp_path / "e"], "val_loss")


def test_a_run_that_is_named_as_its_own_parent_is_refused(tmp_path: Path) -> None:
    forks, _ = made(tmp_path / "e", pairing=FORK, arms={"plain": {}, "exploring": EXPLORING})
    path = forks[0].manifest_path
    content = json.loads(path.read_text())
    content["parent"] |= {"path": str(forks[0].path), "run_id": content["run_id"]}
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="the run is its own parent"):
        read_ledger([tmp_path / "e"], "val_loss")
