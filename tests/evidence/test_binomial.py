import numpy as np
import pytest

from trimtab.errors import DataError
from trimtab.evidence import binomial_interval, wilson_interval


def test_intervals_computed_by_hand():
    # p = .95, n = 100, z² = 3.841459: (.95 + .019207 ± √(.95 · .05 · .038415 + .019207²)) / 1.038415
    assert wilson_interval(95, 100) == pytest.approx((0.888249, 0.978461), abs=1e-5)
    assert wilson_interval(50, 100) == pytest.approx((0.403832, 0.596168), abs=1e-5)


def test_wilson_intervals_of_no_and_all_hits_have_a_width_within_0_and_1():
    assert wilson_interval(0, 40) == (0.0, pytest.approx(3.841459 / 43.841459))
    assert wilson_interval(40, 40) == (pytest.approx(1 - 3.841459 / 43.841459), 1.0)
    assert wilson_interval(1, 1)[1] == 1.0


@pytest.mark.parametrize(("hits", "trials"), [(3, 10), (70, 100), (30, 200)])
def test_the_wilson_interval_lies_within_the_exact_one_and_is_symmetric(hits, trials):
    low, high = wilson_interval(hits, trials)
    exact = binomial_interval(hits, trials)
    assert exact[0] < low < hits / trials < high < exact[1]
    assert wilson_interval(trials - hits, trials) == pytest.approx((1 - high, 1 - low))
    assert low < wilson_interval(hits + 0.5, trials)[0]


def test_the_wilson_interval_covers_a_probability_of_nine_tenths():
    generator = np.random.default_rng(0)
    seen = generator.binomial(50, 0.9, size=2000)
    ends = [wilson_interval(int(hits), 50) for hits in range(51)]
    assert 0.93 < np.mean([ends[hits][0] <= 0.9 <= ends[hits][1] for hits in seen]) < 0.98


@pytest.mark.parametrize(("hits", "trials"), [(0, 0), (-1, 5), (6, 5), (float("nan"), 5)])
def test_impossible_numbers_of_hits_are_refused(hits, trials):
    with pytest.raises(DataError, match="in n trials"):
        wilson_interval(hits, trials)
