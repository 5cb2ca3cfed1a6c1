import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.specs import GUARDED, SMALL, spec
from trimtab.config import ConfigError
from trimtab.experiments import RunOptions
from trimtab.experiments.aa import aa_experiment, run_aa
from trimtab.records import RunDirectory

QUIET = RunOptions()
BRIEF: dict[str, Any] = {"episode": {**SMALL["episode"], "steps": 12, "evaluate_every": 12}}


def test_copies_differ_in_the_dropout_draw_alone(tmp_path: Path) -> None:
    result = run_aa(spec(seeds=6, **BRIEF), tmp_path / "aa", 2, 100, QUIET)
    first, second = (
        [RunDirectory(tmp_path / "aa/episodes" / arm / f"seed-{seed}") for seed in range(6)]
        for arm in ("copy-0", "copy-1")
    )
    differences = []
    for a, b in zip(first, second, strict=True):
        rows_a, rows_b = a.steps(), b.steps()
        assert rows_a[0]["tokens"] == rows_b[0]["tokens"] and rows_a[0]["train_loss"] != rows_b[0]["train_loss"]
        one, other = a.summary(), b.summary()
        assert one is not None and other is not None
        differences.append(other.metrics["val_loss"] - one.metrics["val_loss"])
    assert result["noise_floor"] == pytest.approx(np.std(differences, ddof=1))
    assert 0 <= result["low"] <= result["rate"] <= result["high"] <= 1
    assert json.loads((tmp_path / "aa" / "aa.json").read_text())["noise_floor"] == result["noise_floor"]


def test_a_lazy_fork_becomes_a_fork_at_half_of_the_steps() -> None:
    twin = aa_experiment(spec(**GUARDED), 3)
    assert (twin.pairing.name, twin.pairing.at) == ("fork", 20)
    assert list(twin.arms) == ["copy-0", "copy-1", "copy-2"]


def test_identical_copies_and_too_few_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no dropout"):
        run_aa(spec(seeds=6, **BRIEF, model={**SMALL["model"], "dropout": 0.0}), tmp_path / "aa", 2, 100, QUIET)
    with pytest.raises(ConfigError, match="Take 6"):
        run_aa(spec(seeds=5), tmp_path / "bb", 2, 100, QUIET)


def test_what_an_experiment_asks_for_besides_has_no_part_in_it() -> None:
    changes = {"tune": {"hot": {"over": {"episode.clip": [0.5]}}}, "noise_floor": 2}
    twin = aa_experiment(spec(**changes), 3)
    assert (twin.tune, twin.noise_floor, twin.interventions) == ({}, 0, None)
    assert twin.treatments == ["copy-1", "copy-2"]
