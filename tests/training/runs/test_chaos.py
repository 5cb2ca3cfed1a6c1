"""Copies of a recorded run, forked at a step."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_runs import DECODER, config
from trimtab.config import ConfigError, RunError
from trimtab.records import RunDirectory
from trimtab.runtime.events import Progress, RunEvent
from trimtab.training import train
from trimtab.training.runs.chaos import STAGE, chaos

SHORT = {"steps": 8, "discard": 2, "copies": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("chaos") / "run"
    instrument = "monitor.instruments=[{name: largest_exponent, every: 10, steps: 8, discard: 2, epsilon: 1.0e-4}]"
    train(config("episode.precision=fp32", "episode.optimizer.lr=0.02", instrument, base=DECODER), out)
    return out


def test_the_exponent_and_the_distances(run: Path) -> None:
    events: list[RunEvent] = []
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    result = chaos(run, 10, epsilon=1e-4, events=events.append, **SHORT)
    assert [path.read_bytes() for path in before] == list(before.values())
    counts = [(one.done, one.total) for one in events if isinstance(one, Progress) and one.stage == STAGE]
    assert counts == [(done, 70) for done in range(1, 71)]  # ten steps: the run once alone, two copies alone, two pairs
    first, second = result["copies"]
    assert len(first["rates"]) == 10 and len(first["distances"]) == 11
    assert first["distances"][0] == pytest.approx(1e-4, rel=0.01)
    assert first["exponent"] == pytest.approx(math.fsum(first["rates"][2:]) / 8)
    assert result["exponent"] == pytest.approx((first["exponent"] + second["exponent"]) / 2)
    assert result["lowest"] == min(first["exponent"], second["exponent"]) and first["rates"] != second["rates"]
    # While the distance is small, leaving a copy alone and pulling it back measure the same growth.
    assert math.log(first["distances"][5] / 1e-4) == pytest.approx(math.fsum(first["rates"][:5]), abs=0.1)
    assert chaos(run, 10, epsilon=1e-4, **SHORT) == result


def test_it_agrees_with_the_instrument_inside_the_run(run: Path) -> None:
    (inside,) = [row["instruments"] for row in RunDirectory(run).steps() if "instruments" in row]
    outside = chaos(run, 10, steps=8, discard=2, epsilon=1e-4, copies=4)
    reach = outside["highest"] - outside["lowest"]  # the first direction is another one, which ten steps do not forget
    assert outside["lowest"] - reach <= inside["largest_exponent"]["value"] <= outside["highest"] + reach


def test_a_step_between_checkpoints(run: Path) -> None:
    assert math.isfinite(chaos(run, 8, epsilon=1e-4, **SHORT)["exponent"])


@pytest.mark.parametrize(
    ("at", "changes", "error", "words"),
    [
        (10, {"epsilon": 0.0}, ConfigError, ["--epsilon", "0.0"]),
        (10, {"epsilon": -1e-5}, ConfigError, ["--epsilon"]),
        (10, {"epsilon": math.nan}, ConfigError, ["--epsilon", "nan"]),
        (10, {"epsilon": 1e-12}, ConfigError, ["--epsilon", "rounding"]),
        (0, {}, ConfigError, ["--at", "moments"]),
        (10, {"copies": 0}, ConfigError, ["--copies", "0"]),
        (10, {"renormalise_every": 3}, ConfigError, ["--renormalise-every"]),
        (15, {}, RunError, ["9 steps left", "the copies need 10"]),
        (25, {"steps": 1, "discard": 0}, RunError, ["0 steps left"]),
    ],
)
def test_bad_numbers_and_too_few_steps_are_refused(
    run: Path, at: int, changes: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as refusal:
        chaos(run, at, **{**SHORT, **changes})
    for word in words:
        assert word in str(refusal.value)


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        chaos(tmp_path / "none", 10)
