"""A static arm is tuned on seeds of its own, with no more compute than the arms that it is compared with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.specs import GUARDED, spec
from tests.experiments.test_run import QUIET, loss
from trimtab.experiments import run_experiment
from trimtab.records import RunDirectory

TUNED: dict[str, Any] = {
    "arms": {"plain": {}, "guard": GUARDED["arms"]["guard"], "static": {"episode.clip": 0.5}},
    "tune": {"static": {"over": {"episode.optimizer.lr": [1e-6, 0.01]}}},
    "seeds": 2,
}


def test_the_best_candidate_becomes_the_arm(tmp_path: Path) -> None:
    out = tmp_path / "e"
    result = run_experiment(spec(**{**GUARDED, **TUNED}), out, QUIET)
    outcome = json.loads((out / "tuning.json").read_text())["arms"]["static"]
    assert outcome["chosen"] == {"episode.optimizer.lr": 0.01} and outcome["steps"] == 80
    values = [run["value"] for run in outcome["runs"]]
    assert values[1] < values[0]
    config = RunDirectory(out / "episodes/static/seed-0").manifest().config
    assert (config["episode"]["optimizer"]["lr"], config["episode"]["clip"]) == (0.01, 0.5)
    verdicts = {(v["baseline"], v["treatment"]): v for v in result["verdicts"] if v["metric"] == "val_loss"}
    assert (verdicts["plain", "guard"]["pairing"], verdicts["plain", "static"]["pairing"]) == ("fork", "seed")
    against = verdicts["static", "guard"]
    expected = [loss(out, "guard", seed) - loss(out, "static", seed) for seed in range(2)]
    assert against["mean_difference"] == pytest.approx(np.mean(expected)) and against["p_adjusted"] is None
    assert run_experiment(spec(**{**GUARDED, **TUNED}), out, QUIET)["verdicts"] == result["verdicts"]


def test_higher_is_better_for_accuracy(tmp_path: Path) -> None:
    claim = {"metric": "val_accuracy", "higher_is_better": True, "margin": 0.01}
    changes = {"claim": claim, "tune": {"hot": {"over": {"episode.optimizer.lr": [0.01, 1e-6]}}}}
    run_experiment(spec(**changes), tmp_path / "e", QUIET)
    result = json.loads((tmp_path / "e" / "tuning.json").read_text())["arms"]["hot"]
    assert result["chosen"] == {"episode.optimizer.lr": 0.01}
