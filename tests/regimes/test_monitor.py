import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimtab.config import MonitorConfig
from trimtab.records.values import numbers_in, to_json
from trimtab.regimes import Divergence, Monitor, RegimeState, UpdateSize, observations

LOSSES = st.lists(st.floats(0, 1e6), min_size=2, max_size=60)


def made(horizon: int) -> Monitor:
    return Monitor(MonitorConfig(horizon=horizon))


def observe(monitor: Monitor, losses: list[float], norms: list[float] | None = None) -> list[RegimeState]:
    norms = norms or [1.0] * len(losses)
    return [
        monitor.observe(step, loss, norm, {}) for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), 1)
    ]


def ema(values: list[float], horizon: int) -> list[float]:
    """The exponential average as weights on the whole past."""
    alpha = 2 / (horizon + 1)
    averages = []
    for end in range(1, len(values) + 1):
        weights = alpha * (1 - alpha) ** np.arange(end - 1, -1, -1.0)
        weights[0] = (1 - alpha) ** (end - 1)
        averages.append(float(weights @ np.array(values[:end])))
    return averages


@given(LOSSES, st.integers(2, 30))
@example([5e-324, 0.0], 2)
def test_averages_and_volatility_equal_numpys(losses: list[float], horizon: int) -> None:
    norms = [loss + 1.0 for loss in losses]
    states = observe(made(horizon), losses, norms)
    # Subnormal numbers have few digits: below 1e-300 only the absolute difference is compared.
    np.testing.assert_allclose([s.loss_ema for s in states], ema(losses, horizon), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose([s.grad_norm_ema for s in states], ema(norms, horizon), rtol=1e-9)
    assert math.isnan(states[0].loss_volatility)
    for end in range(2, len(losses) + 1):
        recent = losses[max(0, end - horizon) : end]
        np.testing.assert_allclose(states[end - 1].loss_volatility, np.std(recent, ddof=1), rtol=1e-6, atol=1e-9)


def test_a_state_has_the_observed_values() -> None:
    stats = {"blocks.0": {"mean": 0.1}}
    watching = made(4)
    watching.updated(UpdateSize(0.25, 0.01, {"blocks.0": 0.02}))
    state = watching.observe(3, 2.5, 1.5, stats)
    assert (state.step, state.train_loss, state.grad_norm, state.param_update_norm) == (3, 2.5, 1.5, 0.25)
    assert (state.update_ratio, state.layer_update_ratios) == (0.01, {"blocks.0": 0.02})
    assert state.activation_stats == stats
    assert state.anomaly_flags == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nonfinite_values_are_flagged_and_enter_no_average(bad: float) -> None:
    clean, dirty = made(4), made(4)
    losses = [3.0, 2.5, 2.0, 2.2]
    expected = observe(clean, losses)[-1]
    states = observe(dirty, [3.0, 2.5, bad, 2.0, 2.2], [1.0, 1.0, bad, 1.0, 1.0])
    assert states[2].anomaly_flags == ("nonfinite_loss", "nonfinite_gradient")
    assert states[2].loss_ema == states[1].loss_ema
    assert states[2].grad_norm == bad or math.isnan(bad)
    assert (states[-1].loss_ema, states[-1].loss_volatility) == (expected.loss_ema, expected.loss_volatility)
    assert dirty.stability() == clean.stability() | {"flagged_steps": 1}


def test_loss_and_gradient_norm_are_flagged_separately() -> None:
    monitor = made(4)
    assert monitor.observe(1, 2.0, math.nan, {}).anomaly_flags == ("nonfinite_gradient",)
    assert monitor.observe(2, math.nan, 2.0, {}).anomaly_flags == ("nonfinite_loss",)
    assert (monitor.loss_ema, monitor.grad_norm_ema) == (2.0, 2.0)


def test_a_huge_finite_loss_overflows_nothing() -> None:
    states = observe(made(3), [1.0, 1e300, 1e300, 2.0], [1.0, 1.7e308, 1.7e308, 1.0])
    assert all(math.isfinite(s.loss_ema) and math.isfinite(s.grad_norm_ema) for s in states)
    assert math.isfinite(states[-1].loss_volatility)


def test_stability_figures_equal_a_hand_computation() -> None:
    monitor = made(3)  # weight 1/2 on the newest value
    observe(monitor, [4.0, 2.0, 5.0, 1.0], [1.0, 7.0, 2.0, 3.0])
    monitor.skipped_steps = 2
    figures = monitor.stability()
    # The averages are 4, 3, 4, 2.5: the largest rise above the lowest so far is from 3 to 4.
    assert figures["largest_loss_rise"] == pytest.approx(1.0)
    assert figures["largest_grad_norm"] == 7.0
    assert figures["skipped_steps"] == 2
    assert figures["loss_volatility"] == pytest.approx(np.std([2.0, 5.0, 1.0], ddof=1))


NUMBERS = st.floats(0, 100) | st.just(math.nan) | st.just(math.inf)


@given(st.lists(NUMBERS, max_size=30), st.lists(NUMBERS, max_size=10), st.integers(2, 8))
def test_a_monitor_restored_from_json_continues_bit_for_bit(
    before: list[float], after: list[float], horizon: int
) -> None:
    monitor = made(horizon)
    observe(monitor, before, before or None)
    restored = made(horizon)
    restored.load_state_dict(json.loads(json.dumps(monitor.state_dict())))
    assert repr(restored.state_dict()) == repr(monitor.state_dict())
    assert repr(observe(restored, after, after or None)) == repr(observe(monitor, after, after or None))
    assert repr(restored.stability()) == repr(monitor.stability())


def test_the_saved_state_is_a_copy() -> None:
    monitor = made(3)
    observe(monitor, [1.0, 2.0])
    state = monitor.state_dict()
    observe(monitor, [9.0])
    assert state["recent"] == [1.0, 2.0]


def test_a_spike_is_flagged_and_does_not_hide_the_next() -> None:
    monitor = made(4)
    losses = [3.0 + 0.01 * math.sin(step) for step in range(30)] + [5.0, 3.0, 5.0, 5.0]
    states = observe(monitor, losses)
    assert [s.anomaly_flags for s in states[-4:]] == [("loss_spike",), (), ("loss_spike",), ("loss_spike",)]
    assert monitor.stability()["flagged_steps"] == 3


def test_the_share_of_norms_over_the_threshold_equals_a_hand_computation() -> None:
    monitor = Monitor(MonitorConfig(horizon=4, grad_norm_threshold=2.0))
    states = observe(monitor, [1.0] * 6, [1.0, 3.0, 3.0, math.inf, 1.0, 2.0])
    assert [s.grad_share_over for s in states] == [0.0, 1 / 2, 2 / 3, 3 / 4, 3 / 4, 2 / 4]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans(), st.booleans()), max_size=30))
def test_every_state_can_be_read_back_from_the_records(steps: list[tuple[float, float, bool, bool]]) -> None:
    monitor, shown, rows = made(3), [], []
    for number, (loss, norm, layered, evaluated) in enumerate(steps, 1):
        state = monitor.observe(number, loss, norm, {})
        shown.append(state)
        monitor.updated(UpdateSize(0.1 * number, 0.01, {"a": 0.5 * number} if layered else {}))
        rows.append(numbers_in(json.loads(json.dumps(to_json({"step": number, **monitor.columns(state)})))))
        if evaluated:
            monitor.evaluated(loss)
    assert repr(list(observations(rows))) == repr(shown)


# --- diverged --------------------------------------------------------------------------------------------------------


def state(loss: float, ema_now: float | None = None) -> RegimeState:
    return RegimeState(1, loss, loss if ema_now is None else ema_now, 0.0, 1.0, 1.0, 0.0)


def test_skipping_for_too_long_is_diverged() -> None:
    judge = Divergence(3)
    assert [judge.observe(state(math.nan, 1.0), skipped=True) for _ in range(2)] == [None, None]
    reason = judge.observe(state(math.nan, 1.0), skipped=True)
    assert reason is not None
    assert "skipped for 3 steps in a row" in reason


def test_a_smoothed_loss_above_the_untrained_models_for_too_long_is_diverged() -> None:
    judge = Divergence(3)
    assert judge.observe(state(4.0), skipped=False) is None
    assert judge.observe(state(5.0, 4.5), skipped=False) is None
    assert judge.observe(state(5.0, 4.6), skipped=False) is None
    reason = judge.observe(state(5.0, 4.75), skipped=False)
    assert reason == "the smoothed loss (4.7500) stayed above the untrained model's (4.0000) for 3 steps in a row"


def test_a_better_step_resets_the_counts() -> None:
    judge = Divergence(2)
    assert judge.observe(state(4.0), skipped=True) is None
    for _ in range(5):
        assert judge.observe(state(3.0), skipped=False) is None
        assert judge.observe(state(5.0, 4.5), skipped=False) is None
        assert judge.observe(state(4.0, 4.0), skipped=False) is None  # not above
        assert judge.observe(state(3.0), skipped=True) is None


def test_a_loss_that_is_not_finite_keeps_a_high_average_high() -> None:
    judge = Divergence(3)
    judge.observe(state(4.0), skipped=False)
    judge.observe(state(9.0, 5.0), skipped=False)
    judge.observe(state(math.nan, 5.0), skipped=True)
    assert judge.observe(state(9.0, 5.5), skipped=False) is not None


def test_the_baseline_is_the_first_finite_loss() -> None:
    judge = Divergence(10)
    judge.observe(state(math.inf, math.nan), skipped=True)
    assert judge.baseline is None
    judge.observe(state(4.0), skipped=False)
    judge.observe(state(1.0), skipped=False)
    assert judge.baseline == 4.0


def test_a_loss_may_be_negative() -> None:
    judge = Divergence(2)
    for loss in (-7.0, -8.0, -7.5, -9.0):
        assert judge.observe(state(loss), skipped=False) is None
    assert judge.observe(state(-6.0), skipped=False) is None
    assert "(-6.0000) stayed above the untrained model's (-7.0000)" in str(judge.observe(state(-6.0), skipped=False))


def test_a_monitor_that_restarts_has_the_statistics_of_the_new_loss_alone() -> None:
    old, new = made(5), made(5)
    for step in range(1, 30):
        old.observe(step, 100.0 + step, 50.0, {})
    old.restart()
    for step in range(30, 60):
        loss, norm = math.sin(step), 1.0 + 0.1 * math.cos(step)
        assert old.observe(step, loss, norm, {}).anomaly_flags == new.observe(step, loss, norm, {}).anomaly_flags
    kept = {"classifier", "flagged_steps", "unstable_steps"}
    assert {key: value for key, value in old.state_dict().items() if key not in kept} == {
        key: value for key, value in new.state_dict().items() if key not in kept
    }


@given(st.lists(st.tuples(st.floats(0, 8) | st.just(math.nan), st.booleans()), min_size=1, max_size=40), st.data())
def test_a_divergence_judge_restored_from_json_gives_the_same_reasons(
    steps: list[tuple[float, bool]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(steps)))

    def judged(judge: Divergence, monitor: Monitor, part: list[tuple[float, bool]]) -> list[Any]:
        return [judge.observe(monitor.observe(1, loss, 1.0, {}), skipped=skip) for loss, skip in part]

    whole = judged(Divergence(3), made(5), steps)
    first, monitor = Divergence(3), made(5)
    reasons = judged(first, monitor, steps[:cut])
    second = Divergence(3)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert reasons + judged(second, monitor, steps[cut:]) == whole
