import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.evidence import sign_flip_e_values, t_confidence_sequence, t_e_value, t_e_values
from trimtab.evidence.e_values import GRID


def by_densities(d):
    from scipy.stats import nct
    from scipy.stats import t as student

    n = len(d)
    t = math.sqrt(n) * np.mean(d) / np.std(d, ddof=1)
    both = nct.pdf(t, n - 1, math.sqrt(n)) + nct.pdf(t, n - 1, -math.sqrt(n))
    return both / 2 / student.pdf(t, n - 1)


@pytest.mark.parametrize(("n", "mean"), [(2, 0.0), (3, 1.0), (6, 0.5), (12, -1.0), (20, 0.2)])
def test_the_t_e_value_is_the_ratio_of_the_densities(n, mean):
    d = np.random.default_rng(n).normal(mean, 1, size=n)
    values = t_e_values(d)
    assert values[-1] == pytest.approx(by_densities(d), rel=1e-6)
    assert values[-1] == pytest.approx(t_e_value(d))
    if n > 2:
        assert values[-2] == pytest.approx(by_densities(d[:-1]), rel=1e-6)


def test_the_e_processes_start_at_1_and_zeros_leave_them_there():
    assert t_e_values([0.3])[0] == pytest.approx(1)
    assert t_e_values([0.0] * 7).tolist() == [1] * 7
    assert t_e_values([0.0, 0.0, 1.0])[:2].tolist() == [1, 1]
    assert t_e_value([0.0] * 7) == 1
    assert sign_flip_e_values([0.0] * 7).tolist() == [1] * 7


def test_equal_differences_give_the_finite_limit():
    limit = t_e_value([0.25] * 6)
    assert limit == pytest.approx(t_e_value([0.25, 0.25, 0.25, 0.25, 0.25, 0.25 + 1e-9]), rel=1e-4)
    assert 40 < limit < 45
    assert t_confidence_sequence([0.25] * 6) == (-math.inf, math.inf)


def test_many_pairs_do_not_overflow():
    assert math.isfinite(t_e_value(np.ones(3000)))
    assert math.isfinite(sign_flip_e_values(np.ones(3000))[-1])
    assert 0 <= t_e_value(np.tile([1.0, -1.0], 1000)) < 1e-6


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=12), st.sampled_from([-1.0, 1e-5, 700.0]))
def test_scale_and_direction_do_not_matter(d, factor):
    scaled = [x * factor for x in d]
    assert t_e_values(scaled) == pytest.approx(t_e_values(d), rel=1e-9)
    assert sign_flip_e_values(scaled) == pytest.approx(sign_flip_e_values(d), rel=1e-9)


def test_the_confidence_sequence_is_where_e_is_below_1_over_alpha():
    d = np.random.default_rng(4).normal(1, 1, size=15)
    low, high = t_confidence_sequence(d, 0.05)
    assert t_e_value(d - low) == pytest.approx(20, rel=1e-6)
    assert t_e_value(d - high) == pytest.approx(20, rel=1e-6)
    wider = t_confidence_sequence(d, 0.01)
    assert wider[0] < low < high < wider[1]
    assert t_confidence_sequence(d[:4]) == (-math.inf, math.inf)
    assert t_confidence_sequence([0.0] * 5) == (0, 0)


def test_the_confidence_sequence_of_very_small_differences():
    d = np.random.default_rng(4).normal(1, 1, size=15)
    low, high = t_confidence_sequence(d * 1e-250)
    assert (low * 1e250, high * 1e250) == pytest.approx(t_confidence_sequence(d))


def test_the_sign_flip_process_computed_by_hand():
    # The first difference sets the scale 2 and bets nothing; the second is z = 3.
    expected = np.mean([math.exp(sign * lam * 3) / math.cosh(lam * 3) for lam in GRID for sign in (1, -1)])
    assert sign_flip_e_values([2.0, 6.0]).tolist() == pytest.approx([1, expected])


def test_the_scale_of_a_pair_does_not_depend_on_the_pair():
    """Of two mirrored outcomes of the next pair, the mean of E is E now: a fair bet, whatever the size."""
    past = [0.5, -0.2, 0.9, 0.4]
    now = sign_flip_e_values(past)[-1]
    for size in (0.01, 0.7, 50.0):
        assert (sign_flip_e_values([*past, size])[-1] + sign_flip_e_values([*past, -size])[-1]) / 2 == pytest.approx(
            now
        )


def test_testing_after_each_of_twenty_pairs_keeps_the_level():
    rows = np.random.default_rng(21).normal(size=(3000, 20))
    alarms = np.mean([t_e_values(row).max() >= 20 for row in rows])
    assert alarms <= 0.05  # measured .03; the standard error of 3,000 experiments is .003
    misses = np.mean([t_e_values(row + 1)[5:].max() < 20 for row in rows[:500]])
    assert misses < 0.25  # an effect of one SD is result within 20 pairs


def test_testing_after_each_pair_keeps_the_level_without_normality():
    generator = np.random.default_rng(22)
    rows = generator.standard_t(1.5, size=(1500, 20))
    assert np.mean([sign_flip_e_values(row).max() >= 20 for row in rows]) <= 0.05
    assert np.mean([sign_flip_e_values(row)[-1] for row in generator.normal(1, 1, size=(200, 20))]) > 20


def test_the_confidence_sequence_covers_after_every_pair():
    rows = np.random.default_rng(23).normal(3, 2, size=(400, 20))
    missed = 0
    for row in rows:
        ends = [t_confidence_sequence(row[:n]) for n in range(2, 21, 2)]
        missed += any(not low <= 3 <= high for low, high in ends)
    assert missed / len(rows) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(rows))
