"""What a single intervention did, compared with the records of whole runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.specs import GUARDED, spec
from tests.experiments.test_run import QUIET
from trimtab.config import RunError
from trimtab.experiments import ExperimentDirectory, run_experiment
from trimtab.experiments.findings import write_interventions
from trimtab.records import RunDirectory
from trimtab.regimes import Controller, Decision
from trimtab.reports.experiment import write_report

BRAKE = {"episode.regime_controller": {"name": "tests.experiments.test_run:Brake"}}


def rows(folder: Path) -> dict[int, float]:
    return {row["step"]: float(row["train_loss"]) for row in RunDirectory(folder).steps()}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_an_only_interventions_effect_is_the_difference_of_the_two_runs(tmp_path: Path) -> None:
    arms = {"plain": {}, "brake": BRAKE}
    changes = {"pairing": {"name": "lazy_fork"}, "arms": arms, "intervention_effects": {"steps": 36, "at_most": 3}}
    result = run_experiment(spec(**changes), tmp_path / "e", QUIET)
    outcome = read(tmp_path / "e" / "interventions.json")
    assert [(row["arm"], row["seed"], row["step"]) for row in outcome["interventions"]] == [
        ("brake", 0, 5),
        ("brake", 1, 5),
    ]
    for row in outcome["interventions"]:
        braked, plain = (rows(tmp_path / "e" / "episodes" / arm / f"seed-{row['seed']}") for arm in ("brake", "plain"))
        expected = np.mean([braked[step] - plain[step] for step in range(6, 41)])
        assert row["effect"]["train_loss"] == pytest.approx(expected, abs=1e-12)
    own = next(v for v in result["verdicts"] if v["metric"] == "val_loss")
    effects = [row["effect"]["val_loss"] for row in outcome["interventions"]]
    assert effects == pytest.approx(own["differences"], abs=1e-12)
    (summed,) = [effect for effect in outcome["effects"] if effect["metric"] == "val_loss"]
    assert (summed["mean"], summed["runs"]) == (pytest.approx(np.mean(effects)), 2)
    assert summed["low"] < summed["mean"] < summed["high"]


class Stop(Controller):
    """Stops the run."""

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        return Decision("enough", action="stop") if state.step == 9 else None


def test_an_intervention_that_stops_the_run_has_no_later_batches(tmp_path: Path) -> None:
    arms = {"plain": {}, "stop": {"episode.regime_controller": {"name": "tests.experiments.test_interventions:Stop"}}}
    result = run_experiment(
        spec(pairing={"name": "lazy_fork"}, arms=arms, intervention_effects=True), tmp_path / "e", QUIET
    )
    assert result["status"] == "completed"
    outcome = read(tmp_path / "e" / "interventions.json")
    assert (outcome["decisions"], outcome["interventions"], outcome["effects"]) == (2, [], [])


def test_one_run_that_acted_has_an_effect_without_an_interval(tmp_path: Path) -> None:
    arms = {"plain": {}, "brake": BRAKE}
    run_experiment(spec(pairing={"name": "lazy_fork"}, arms=arms, intervention_effects=True), tmp_path / "e", QUIET)
    (tmp_path / "e/interventions/brake/seed-1/effects.json").unlink()
    experiment = spec(pairing={"name": "lazy_fork"}, arms=arms, intervention_effects=True)
    write_interventions(ExperimentDirectory(tmp_path / "e"), experiment)
    effect = read(tmp_path / "e" / "interventions.json")["effects"][0]
    assert (effect["runs"], effect["low"], effect["high"]) == (1, "-inf", "inf")
    write_report(tmp_path / "e")
    place = tmp_path / "e/interventions/brake/seed-0/effects.json"
    content = read(place)
    del content["interventions"][0]["effect"]["val_loss"]
    place.write_text(json.dumps(content))
    with pytest.raises(RunError, match="that of the decision at step 5 of the arm 'brake', seed 0, has no val_loss"):
        write_interventions(ExperimentDirectory(tmp_path / "e"), experiment)
    for damaged in ("{", "[]", '{"decisions": 1}', '{"decisions": "x", "interventions": []}'):
        (tmp_path / "e/interventions/brake/seed-0/effects.json").write_text(damaged)
        with pytest.raises(RunError, match=r"seed-0/effects\.json is damaged"):
            write_interventions(ExperimentDirectory(tmp_path / "e"), experiment)


def test_interventions_of_given_up_passages_are_looked_at_too(tmp_path: Path) -> None:
    arms = {arm: GUARDED["arms"][arm] for arm in ("plain", "guard")}
    run_experiment(
        spec(**{**GUARDED, "arms": arms, "seeds": 3, "intervention_effects": {"steps": 8}}), tmp_path / "e", QUIET
    )
    result = read(tmp_path / "e" / "interventions.json")["interventions"]
    assert {"decision_skip", "decision_rewind"} <= {row["kind"] for row in result}
    assert {row["attempt"] for row in result} > {0}
    again = read(tmp_path / "e" / "interventions/guard/seed-0/effects.json")
    (tmp_path / "e" / "interventions/guard/seed-0/effects.json").unlink()
    run_experiment(
        spec(**{**GUARDED, "arms": arms, "seeds": 3, "intervention_effects": {"steps": 8}}), tmp_path / "e", QUIET
    )
    assert read(tmp_path / "e" / "interventions/guard/seed-0/effects.json") == again


def test_detections_are_scored_over_the_whole_run(tmp_path: Path) -> None:
    run_experiment(spec(**GUARDED), tmp_path / "e", QUIET)
    result = {(row["arm"], row["seed"]): row for row in read(tmp_path / "e" / "detection.json")}
    assert set(result) == {("guard", 0), ("guard", 1), ("never", 0), ("never", 1)}
    assert all(row["faults"] == 1 for row in result.values())
    assert (result["never", 0]["recall"], result["never", 0]["delay"]) == (0.0, "nan")
    assert result["guard", 0]["recall"] == 1.0
