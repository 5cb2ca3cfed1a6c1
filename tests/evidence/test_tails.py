import numpy as np
import pytest

from trimtab.evidence import tail
from trimtab.evidence.tails import THRESHOLDS, heavy_rows, simulated_threshold, threshold


@pytest.mark.parametrize("n", [6, 8, 10, 12, 16, 20])
def test_normal_differences_are_rarely_called_heavy(n):
    rows = np.random.default_rng(n).normal(size=(20_000, n))
    assert heavy_rows(rows)[1].mean() <= 0.05 + 3 * 0.00155  # three standard errors
    assert heavy_rows(np.random.default_rng(n).uniform(size=(20_000, n)))[1].mean() <= 0.05


@pytest.mark.parametrize(("n", "least"), [(10, 0.55), (12, 0.65), (20, 0.88)])
def test_lognormal_differences_are_usually_called_heavy(n, least):
    rows = np.exp(np.random.default_rng(n).normal(size=(20_000, n)))
    assert heavy_rows(rows)[1].mean() >= least


def test_the_thresholds_equal_a_new_simulation():
    for n in (6, 12, 20):
        assert simulated_threshold(n, draws=40_000, seed=1) == pytest.approx(THRESHOLDS[n], rel=0.03)
    assert THRESHOLDS[25] < threshold(22) < THRESHOLDS[20]
    assert threshold(10_000) == pytest.approx(THRESHOLDS[500])


def test_an_outlier_makes_a_heavy_tail_and_too_few_differences_have_no_measure():
    d = [0.1, 0.2, 0.15, 0.12, 0.18, 0.14, 0.16, 5.0]
    assert tail(d).heavy
    assert tail(np.array(d) * -1e6).measure == pytest.approx(tail(d).measure)
    assert tail(np.array(d) + 40).heavy
    assert tail(d[3:]) == tail([0.1] * 9) == tail([0.0] * 9)
    assert tail([0.1] * 9).measure is None and not tail([0.1] * 9).heavy


def test_two_distinct_values_are_no_heavy_tail():
    assert not tail([1.0, 2.0] * 6).heavy
