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


def variables(before: str = "", **users: str) -> dict[str, str]:
    command = [sys.executable, "-c", SHOW.format(before=before, names=NAMES)]
    done = subprocess.run(command, env=clean() | users, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_it_is_set_with_the_first_import_of_the_package() -> None:
    assert variables() == {"GOMP_SPINCOUNT": str(SPIN_COUNT)}


@pytest.mark.parametrize("users", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "0"}])
def test_the_users_own_setting_is_left_alone(users: dict[str, str]) -> None:
    assert variables(**users) == users


def test_nothing_is_set_once_torch_is_loaded() -> None:
    assert variables("sys.modules['torch'] = None") == {}


RUN = """
import sys
from tests.training.small_runs import DECODER, config
from trimtab.training import train

print(train(config("threads=2", "episode.steps=6", base=DECODER), sys.argv[1])["weights_sha256"])
"""


@pytest.mark.slow
def test_bits_do_not_depend_on_it_and_it_is_recorded(tmp_path: Path) -> None:
    hashes, settings = set(), [{}, {"GOMP_SPINCOUNT": "300000"}, {"OMP_WAIT_POLICY": "PASSIVE"}]
    runs = [tmp_path / f"run-{index}" for index in range(len(settings))]
    for run, users in zip(runs, settings, strict=True):
        plain = {key: value for key, value in environment().items() if key not in NAMES}
        command = [sys.executable, "-c", RUN, str(run)]
        done = subprocess.run(command, env=plain | users, capture_output=True, text=True, check=True)
        hashes.add(done.stdout)
        recorded = RunDirectory(run).manifest().environment["thread_variables"]
        assert {key: recorded[key] for key in NAMES if key in recorded} == (
            users or {"GOMP_SPINCOUNT": str(SPIN_COUNT)}
        )
    assert len(hashes) == 1
    environments = [RunDirectory(run).manifest().environment for run in runs]
    assert all(numeric_differences(environments[0], other) == [] for other in environments[1:])
