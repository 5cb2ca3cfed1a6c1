"""The noise floor inside an experiment."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.specs import GUARDED, spec
from tests.experiments.test_run import QUIET, loss
from trimtab.config import ConfigError
from trimtab.experiments import run_experiment
from trimtab.records import RunDirectory


def floor(out: Path) -> Any:
    return json.loads((out / "noise_floor.json").read_text())


def test_the_floor_is_the_spread_of_the_baseline_against_itself(tmp_path: Path) -> None:
    out = tmp_path / "e"
    result = run_experiment(spec(seeds=3, noise_floor=3), out, QUIET)
    copies = [RunDirectory(out / "noise" / f"seed-{seed}").summary() for seed in range(3)]
    expected = [float(copy.metrics["val_loss"]) - loss(out, "plain", seed) for seed, copy in enumerate(copies) if copy]
    assert floor(out)["differences"] == pytest.approx(expected) and np.std(expected) > 0
    assert floor(out)["noise_floor"] == pytest.approx(np.std(expected, ddof=1))
    (verdict,) = [v for v in result["verdicts"] if v["metric"] == "val_loss"]
    assert verdict["noise_floor"] == floor(out)["noise_floor"]


def test_a_lazy_forks_copies_part_where_the_arms_did(tmp_path: Path) -> None:
    out = tmp_path / "e"
    run_experiment(spec(**GUARDED, noise_floor=2), out, QUIET)
    starts = []
    for seed in range(2):
        parent = RunDirectory(out / "episodes/guard" / f"seed-{seed}").manifest().parent
        starts.append(0 if parent is None else parent.step)
    parted = RunDirectory(out / "noise/seed-0").manifest().parent
    assert parted is not None and parted.step == round(np.median(starts)) == floor(out)["at"]


def test_a_model_without_dropout_has_none() -> None:
    model = {"layers": 1, "width": 16, "heads": 2, "ff": 32, "dropout": 0.0}
    with pytest.raises(ConfigError, match="has no dropout"):
        spec(model=model, noise_floor=2)


def test_the_floor_of_a_log_claim_is_in_its_units(tmp_path: Path) -> None:
    claim = {"metric": "val_loss", "higher_is_better": False, "margin": 0.02, "scale": "log"}
    run_experiment(spec(seeds=2, noise_floor=2, claim=claim), tmp_path / "e", QUIET)
    plain = [loss(tmp_path / "e", "plain", seed) for seed in range(2)]
    copies = [RunDirectory(tmp_path / "e/noise" / f"seed-{seed}").summary() for seed in range(2)]
    logs = [
        np.log(float(copy.metrics["val_loss"])) - np.log(base) for copy, base in zip(copies, plain, strict=True) if copy
    ]
    assert floor(tmp_path / "e")["noise_floor"] == pytest.approx(np.std(logs, ddof=1))
