import json

import pytest

from trimtab.config import MonitorConfig
from trimtab.regimes import Monitor

CONFIG = MonitorConfig(horizon=5, medium_horizon=20, patience=3, robust_window=10)


def run(losses: list[float], evaluations: dict[int, float] | None = None, config: MonitorConfig = CONFIG) -> list[str]:
    monitor, regimes = Monitor(config), []
    for step, loss in enumerate(losses, 1):
        regimes.append(monitor.observe(step, loss, 1.0, {}).regime)
        if evaluations and step in evaluations:
            monitor.evaluated(evaluations[step])
    return regimes


def falling(steps: int, slope: float = 0.01, start: float = 4.0) -> list[float]:
    return [start - slope * step + 0.002 * (-1) ** step for step in range(steps)]


def test_a_run_is_warming_and_then_stable() -> None:
    regimes = run(falling(40))
    assert regimes[:21] == ["warming"] * 21
    assert regimes[22:] == ["stable"] * 18  # step 20 fills the medium horizon, two more make it three in a row


def test_a_constant_loss_is_a_plateau_until_it_falls_again() -> None:
    regimes = run(falling(30) + [3.7 + 0.002 * (-1) ** step for step in range(40)] + falling(40, start=3.7))
    assert "plateau" in regimes[30:70]
    assert regimes[-1] == "stable"


def test_three_spikes_make_a_run_unstable_until_it_is_calm() -> None:
    losses = falling(60)
    losses[40] = losses[41] = losses[42] = 9.0
    regimes = run(losses)
    assert regimes[39] == "stable"
    assert regimes[44] == "unstable"  # three flags at step 43, which held for three steps at step 45
    assert regimes[-1] == "stable"


def test_one_or_two_spikes_change_no_regime() -> None:
    losses = falling(60)
    losses[40] = losses[42] = 4.2
    assert "unstable" not in run(losses)


def test_a_slow_rise_is_unstable_too() -> None:
    assert run(falling(30) + [3.7 + 0.04 * step for step in range(30)])[-1] == "unstable"


def test_a_rising_validation_loss_under_a_falling_training_loss_is_overfitting() -> None:
    assert run(falling(60), {20: 3.9, 30: 3.8, 40: 3.9})[-1] == "overfitting"
    assert run(falling(60), {20: 3.9, 30: 3.8, 40: 3.79})[-1] == "stable"


def test_a_new_regime_must_hold_for_patience_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    regimes = run(falling(40), config=CONFIG.model_copy(update={"patience": 10}))
    assert regimes[:28] == ["warming"] * 28
    assert regimes[-1] == "stable"


def test_a_transition_has_a_reason_and_the_memory_is_restored_from_json() -> None:
    monitor = Monitor(CONFIG)
    losses, transitions = falling(60), []
    losses[40] = losses[41] = losses[42] = 9.0
    for step, loss in enumerate(losses, 1):
        state = json.loads(json.dumps(monitor.state_dict()))
        monitor = Monitor(CONFIG)
        monitor.load_state_dict(state)
        monitor.observe(step, loss, 1.0, {})
        if monitor.transition is not None:
            transitions.append((monitor.transition.before, monitor.transition.after))
            assert monitor.transition.reason
    assert transitions == [("warming", "stable"), ("stable", "unstable"), ("unstable", "stable")]
