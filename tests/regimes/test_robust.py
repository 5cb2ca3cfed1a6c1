import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.regimes import RobustWindow, median_and_sigma


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_median_and_scale_equal_numpys(values: list[float]) -> None:
    middle, sigma = median_and_sigma(values)
    assert middle == pytest.approx(np.median(values))
    assert sigma == pytest.approx(1.4826 * np.median(np.abs(np.array(values) - middle)))


def test_the_scale_estimates_a_normal_standard_deviation() -> None:
    sample = np.random.default_rng(0).normal(3.0, 2.0, 20_000).tolist()
    assert median_and_sigma(sample)[1] == pytest.approx(2.0, rel=0.03)


def filled(size: int = 20, threshold: float = 5.0) -> RobustWindow:
    window = RobustWindow(size, threshold)
    for step in range(size):
        window.observe(1.0 + 0.1 * (-1) ** step)
    return window


def test_z_scores_equal_a_hand_computation() -> None:
    # The median of ±0.1 around 1 is 1, the median distance 0.1.
    z, flagged = filled().observe(1.0 + 0.1 * 1.4826 * 4)
    assert (z, flagged) == (pytest.approx(4.0), False)
    z, flagged = filled().observe(1.0 + 0.1 * 1.4826 * 6)
    assert (z, flagged) == (pytest.approx(6.0), True)
    assert filled().bound() == pytest.approx(1.0 + 0.1 * 1.4826 * 5)


def test_flagged_values_do_not_enter_the_window() -> None:
    window = filled()
    before = list(window.values)
    for value in (9.0, math.nan, math.inf, 9.0):
        assert window.observe(value)[1]
    assert list(window.values) == before


def test_no_value_is_flagged_before_the_window_has_enough_values() -> None:
    window = RobustWindow(20, 3.0)
    assert [window.observe(value) for value in (1.0, 100.0, 1.0)] == [(0.0, False)] * 3
    assert window.bound() == math.inf


def test_only_high_values_are_flagged() -> None:
    assert filled().observe(-5.0)[1] is False


def test_a_lasting_new_level_is_accepted() -> None:
    window = filled()
    flags = [window.observe(9.0 + 0.01 * step)[1] for step in range(14)]
    assert flags == [True] * 10 + [False] * 4


def test_a_constant_series_has_a_scale_above_zero() -> None:
    window = RobustWindow(20, 6.0)
    for _ in range(20):
        window.observe(2.0)
    assert window.observe(2.001)[1] is False
    assert window.observe(2.2)[1] is True
