"""Invariant 2: observers, evaluation, checkpoints, samples and sinks leave the weights bit-identical."""

from pathlib import Path

import pytest

from tests.training.parts import CallCounter
from tests.training.small_runs import DECODER, EVERYTHING, SMALL, config
from trimtab.records import RunDirectory, rows_difference
from trimtab.training import train


@pytest.fixture(scope="module", params=[SMALL, DECODER], ids=["user's model", "decoder"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    out = tmp_path_factory.mktemp("plain") / "run"
    return request.param, train(config(base=request.param), out)["weights_sha256"]


@pytest.mark.parametrize(
    "change",
    [
        "hooks=[{name: activation_stats, every: 1}]",
        "hooks=[{name: 'tests.training.parts:CallCounter'}]",
        "hooks=[{name: 'tests.training.parts:Double', enabled: false}]",
        "episode.evaluate_every=3",
        "episode.checkpoint_every=5",
        "episode.keep_checkpoints=1",
        "episode.sample.tokens=12",
        "monitor.every=5",
        "monitor.horizon=3",
        "monitor.instruments=[{name: sharpness, every: 6, iterations: 3}]",
        "monitor.instruments=[{name: critical_learning_rate, every: 6}]",
        "monitor.instruments=[{name: noise_scale, every: 6}]",
        "monitor.instruments=[{name: largest_exponent, every: 6, steps: 4, discard: 2}]",
        "monitor.instruments=[{name: 'tests.training.parts:ChangesTheRun', every: 5}]",
    ],
)
def test_observers_cadences_and_instruments_leave_the_weights_unchanged(
    plain: tuple[list[str], str], tmp_path: Path, change: str
) -> None:
    base, expected = plain
    assert train(config(change, base=base), tmp_path / "run")["weights_sha256"] == expected


@pytest.mark.parametrize("change", ["seed=1", "episode.batch_size=5", "hooks=[{name: 'tests.training.parts:Double'}]"])
def test_seed_batch_size_and_modulators_change_the_weights(
    plain: tuple[list[str], str], tmp_path: Path, change: str
) -> None:
    base, expected = plain
    assert train(config(change, base=base), tmp_path / "run")["weights_sha256"] != expected


INSTRUMENTS = (
    "monitor.instruments=[{name: sharpness, every: 6, iterations: 3}, {name: critical_learning_rate, every: 6},"
    " {name: noise_scale, every: 6}, {name: largest_exponent, every: 6, steps: 4, discard: 2},"
    " {name: 'tests.training.parts:ChangesTheRun', every: 5}]"
)


@pytest.mark.parametrize("controller", ["'tests.training.parts:Brake'", "spike_guard"])
def test_instruments_change_no_other_column_and_no_event(tmp_path: Path, controller: str) -> None:
    changes = [*EVERYTHING, f"episode.regime_controller={{name: {controller}}}", "episode.rewind.every=4"]
    changes.append("faults=[{name: random_labels, at: [9]}, {name: gradient_noise, start: 18, length: 2}]")
    plain, measured = tmp_path / "plain", tmp_path / "measured"
    assert (
        train(config(*changes, base=DECODER), plain)["weights_sha256"]
        == (train(config(*changes, INSTRUMENTS, base=DECODER), measured)["weights_sha256"])
    )
    rows = [{k: v for k, v in row.items() if k != "instruments"} for row in RunDirectory(measured).steps()]
    assert rows_difference(RunDirectory(plain).steps(), rows) is None
    assert [(e["step"], e["kind"], e["reason"]) for e in RunDirectory(plain).events()] == [
        (e["step"], e["kind"], e["reason"]) for e in RunDirectory(measured).events()
    ]
    assert RunDirectory(plain).evaluations()[-1]["val_loss"] == RunDirectory(measured).evaluations()[-1]["val_loss"]


def test_observers_do_not_see_the_steps_of_instruments(tmp_path: Path) -> None:
    CallCounter.totals.clear()
    train(config("hooks=[{name: 'tests.training.parts:CallCounter'}]", INSTRUMENTS), tmp_path / "run")
    assert CallCounter.totals == {"activations": 24, "steps": 24, "evaluations": 3, "checkpoints": 6, "ends": 1}


def test_observers_see_every_step_evaluation_and_checkpoint(tmp_path: Path) -> None:
    CallCounter.totals.clear()
    train(config("hooks=[{name: 'tests.training.parts:CallCounter'}]"), tmp_path / "run")
    assert CallCounter.totals == {"activations": 24, "steps": 24, "evaluations": 3, "checkpoints": 6, "ends": 1}
