"""How idle OpenMP threads wait."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.small_runs import environment
from trimtab.openmp import SPIN_COUNT
from trimtab.records import RunDirectory, numeric_differences

SHOW = """
import json, os, sys
{before}
import trimtab
print(json.dumps({{key: value for key, value in os.environ.items() if key in {names}}}))
"""
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")


def clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in NAMES}


def variables(before: str = "", **user_settings: str) -> dict[str, str]:
    command = [sys.executable, "-c", SHOW.format(before=before, names=NAMES)]
    done = subprocess.run(command, env=clean() | user_settings, capture_output=True, text=True, check=True)
    result: dict[str, str] = json.loads(done.stdout)
    return result


def test_the_spin_count_is_set_when_the_package_is_imported() -> None:
    assert variables() == {"GOMP_SPINCOUNT": str(SPIN_COUNT)}


@pytest.mark.parametrize(
    "user_settings", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "0"}]
)
def test_a_setting_of_the_user_is_kept(user_settings: dict[str, str]) -> None:
    assert variables(**user_settings) == user_settings


def test_nothing_is_set_after_torch_was_imported() -> None:
    assert variables("sys.modules['torch'] = None") == {}


RUN = """
import sys
from tests.training.small_runs import DECODER, config
from trimtab.training import train

print(train(config("threads=2", "episode.steps=6", base=DECODER), sys.argv[1])["weights_sha256"])
"""


@pytest.mark.slow
def test_results_do_not_depend_on_the_setting_and_it_is_recorded(tmp_path: Path) -> None:
    hashes, settings = set(), [{}, {"GOMP_SPINCOUNT": "300000"}, {"OMP_WAIT_POLICY": "PASSIVE"}]
    runs = [tmp_path / f"run-{index}" for index in range(len(settings))]
    for run, user_settings in zip(runs, settings, strict=True):
        plain = {key: value for key, value in environment().items() if key not in NAMES}
        command = [sys.executable, "-c", RUN, str(run)]
        done = subprocess.run(command, env=plain | user_settings, capture_output=True, text=True, check=True)
        hashes.add(done.stdout)
        recorded = RunDirectory(run).manifest().environment["thread_variables"]
        assert {key: recorded[key] for key in NAMES if key in recorded} == (
            user_settings or {"GOMP_SPINCOUNT": str(SPIN_COUNT)}
        )
    assert len(hashes) == 1
    environments = [RunDirectory(run).manifest().environment for run in runs]
    assert all(numeric_differences(environments[0], other) == [] for other in environments[1:])
