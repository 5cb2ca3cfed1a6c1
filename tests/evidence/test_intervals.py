import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.evidence import t_interval
from trimtab.evidence.intervals import estimates

D = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_an_interval_computed_by_hand():
    # mean 3.5, SD √3.5, t(.975; 5) = 2.570582
    result = t_interval(D, 0.95)
    half = 2.570582 * math.sqrt(3.5 / 6)
    assert (result.n, result.mean, result.sd) == (6, 3.5, pytest.approx(math.sqrt(3.5)))
    assert (result.low, result.high) == (pytest.approx(3.5 - half, abs=1e-5), pytest.approx(3.5 + half, abs=1e-5))


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_interval_excludes_zero_exactly_when_p_is_small(level):
    p = t_interval(D).p_value
    shifted = t_interval(np.array(D) - 1.6, level)
    assert (shifted.low > 0) == (shifted.p_value < 1 - level)
    assert t_interval(D, 1 - p).low == pytest.approx(0, abs=1e-9)


def test_a_trimmed_interval_computed_by_hand():
    # one pair cut at either end: mean of 2..5; winsorised 2 2 3 4 5 5, s_w² = 1.9; h = 4, t(.975; 3) = 3.182446
    result = t_interval([-50.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.95, "trimmed")
    half = 3.182446 * math.sqrt(1.9 / 6) * 6 / 4
    assert result.mean == 3.5
    assert result.high - result.mean == pytest.approx(half, abs=1e-5)
    assert t_interval([1.0, 2.0, 4.0], 0.9, "trimmed").high == t_interval([1.0, 2.0, 4.0], 0.9).high


def test_an_outlier_of_any_size_does_not_change_the_trimmed_interval():
    near, far = (t_interval([outlier, 2.0, 3.0, 4.0, 5.0, 6.0], 0.95, "trimmed") for outlier in (-50.0, -1e12))
    assert (far.low, far.high) == (pytest.approx(near.low, rel=1e-3), pytest.approx(near.high, rel=1e-3))


@pytest.mark.parametrize("d", [[0.1] * 6, [0.3], [0.1 + 1e-13, 0.1, 0.1]])
def test_equal_differences_have_no_interval(d):
    result = t_interval(d)
    assert (result.low, result.high, result.p_value) == (-math.inf, math.inf, 1.0)
    assert result.mean == pytest.approx(d[0])


def test_very_small_and_very_large_differences_have_intervals():
    for factor in (1e-250, 1e150):
        scaled = t_interval(np.array(D) * factor)
        assert scaled.p_value == pytest.approx(t_interval(D).p_value)
        assert scaled.low / factor == pytest.approx(t_interval(D).low)


def test_zeros_have_the_interval_0_to_0():
    result = t_interval([0.0] * 4)
    assert (result.low, result.high, result.p_value, result.mean) == (0, 0, 1, 0)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.floats(0.01, 100))
def test_the_interval_scales_and_changes_sign_with_the_differences(d, factor):
    one, other = t_interval(d), t_interval([-factor * x for x in d])
    if math.isfinite(one.low) and math.isfinite(other.low):
        tolerance = 1e-7 * factor * (1 + max(map(abs, d)))
        assert other.high == pytest.approx(-factor * one.low, rel=1e-6, abs=tolerance)
        assert other.low == pytest.approx(-factor * one.high, rel=1e-6, abs=tolerance)


@pytest.mark.parametrize(("scale", "least"), [("plain", 0.945), ("trimmed", 0.935)])
def test_intervals_cover_at_their_level(scale, least):
    rows = np.random.default_rng(11).normal(2.0, 1.0, size=(20_000, 12))
    low, high = estimates(rows, scale).interval(0.95)
    # 20,000 experiments: standard error .0015. The trimmed interval is approximate: .940 here.
    assert least <= ((low < 2) & (high > 2)).mean() <= 0.955
