"""Episodes that fail cost no other episode and no other arm its verdict."""

from pathlib import Path
from typing import Any

import pytest

from tests.experiments.specs import SHORT, ends, spec
from trimtab.experiments import RunOptions, run_experiment
from trimtab.records import RunDirectory
from trimtab.regimes import Controller, Decision
from trimtab.reports.experiment import write_report
from trimtab.runtime.events import RunEvent

QUIET = RunOptions()


def verdict(result: dict[str, Any], treatment: str, metric: str = "val_loss") -> dict[str, Any]:
    (outcome,) = [v for v in result["verdicts"] if (v["treatment"], v["metric"]) == (treatment, metric)]
    return dict(outcome)


class Broken(Controller):
    """Raises."""

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        raise ValueError("my bug")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_component_that_raises_fails_its_episode_alone(tmp_path: Path, workers: int) -> None:
    arms = {"plain": {}, "broken": {"episode.regime_controller": {"name": "tests.experiments.test_failed:Broken"}}}
    seen: list[RunEvent] = []
    result = run_experiment(spec(arms=arms), tmp_path / "e", RunOptions(workers=workers, events=seen.append))
    assert result["status"] == "failed"
    assert sum("ValueError: my bug" in str(end.reason) for end in ends(seen)) == 2
    assert RunDirectory(tmp_path / "e/episodes/plain/seed-1").summary() is not None


def test_an_arm_that_failed_does_not_cost_the_others_their_verdicts(tmp_path: Path) -> None:
    broken = {"episode.regime_controller": {"name": "tests.experiments.test_failed:Broken"}}
    arms: dict[str, Any] = {"plain": {}, "slow": {"episode.optimizer.lr": 1e-6}, "also": {"episode.clip": 0.5}}
    whole = run_experiment(
        spec(arms={**arms, "third": {"episode.clip": 0.4}}, seeds=7, episode=SHORT), tmp_path / "whole", QUIET
    )
    result = run_experiment(spec(arms={**arms, "broken": broken}, seeds=7, episode=SHORT), tmp_path / "e", QUIET)
    assert result["status"] == "failed"
    outcome = verdict(result, "slow")
    assert outcome["verdict"] == "inferior" and outcome["level"] == verdict(whole, "slow")["level"] == 1 - 0.05 / 3
    assert outcome["p_adjusted"] == pytest.approx(
        3 * 2 / 2**7
    )  # of three planned claims, as if the third had been made
    assert not [v for v in result["verdicts"] if v["treatment"] == "broken"]
    write_report(tmp_path / "e")
    assert outcome["sentence"] in (tmp_path / "e/report.html").read_text()
