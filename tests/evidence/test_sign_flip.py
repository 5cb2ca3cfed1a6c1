import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import DataError
from trimtab.evidence import sign_flip_test, smallest_p
from trimtab.evidence.sign_flip import EXACT_UP_TO, clip_magnitudes, sign_flip_p_values

WHOLE = st.lists(st.integers(-9, 9), min_size=1, max_size=9)


def by_hand(d):
    d = [x for x in d if x]
    sums = [
        abs(sum(s * abs(x) for s, x in zip(signs, d, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(d))
    ]
    return sum(total >= abs(sum(d)) for total in sums) / len(sums)


@given(WHOLE)
def test_every_sign_pattern_counts_once_ties_included(d):
    assert sign_flip_test(d).p_value == pytest.approx(by_hand(d))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=13, max_size=14))
def test_counting_in_halves_equals_enumeration(d):
    rows = np.array([d], dtype=float)
    magnitudes = np.abs(rows)
    signs = np.array(list(itertools.product((-1, 1), repeat=len(d))))
    expected = (np.abs(signs @ magnitudes[0]) >= abs(rows.sum())).mean()
    assert sign_flip_p_values(rows)[0] == pytest.approx(expected)


def test_p_values_computed_by_hand():
    assert sign_flip_test([1, 1, 1, 1, 1, 1]).p_value == 2 / 64
    assert sign_flip_test([3, -1]).p_value == 1.0  # |±3 ± 1|: 4, 2, 2, 4 against 2
    assert sign_flip_test([0.1 + 0.2, 0.3, -0.3]).p_value == 1.0  # rounding does not break a tie


def test_zeros_do_not_change_p_and_are_not_counted():
    result = sign_flip_test([0.0] * 5 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert (result.p_value, result.nonzero, result.method, result.flips) == (2 / 64, 6, "exact", 64)
    nothing = sign_flip_test([0.0] * 8)
    assert (nothing.p_value, nothing.nonzero) == (1.0, 0)


def test_above_twenty_differences_p_is_random_seeded_and_above_0():
    d = np.random.default_rng(5).normal(0.4, 1, size=25)
    result = sign_flip_test(d, seed=1)
    assert (result.method, result.flips, result.nonzero) == ("random", 100_000, 25)
    assert result == sign_flip_test(d, seed=1)
    assert result.p_value != sign_flip_test(d, seed=2).p_value
    assert sign_flip_test(np.ones(40)).p_value == 1 / 100_001
    with_zeros = sign_flip_test([*d[:EXACT_UP_TO], 0.0, 0.0])
    assert (with_zeros.method, with_zeros.flips) == ("exact", 2**20)


def test_the_random_p_is_near_the_exact_one():
    d = np.random.default_rng(6).normal(0.5, 1, size=20)
    exact = sign_flip_test(d).p_value
    # The 21st difference is too small to change anything but the method.
    assert sign_flip_test([*d, 1e-7]).p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 100_000))


@given(WHOLE, st.sampled_from([1e-6, 3.0, 1e9]))
def test_signs_and_scale_do_not_matter(d, factor):
    p = sign_flip_test(d).p_value
    assert sign_flip_test([-x for x in d]).p_value == p
    assert sign_flip_test([x * factor for x in d]).p_value == p
    assert smallest_p(sum(x != 0 for x in d)) <= p <= 1


def test_clipping_depends_on_magnitudes_alone():
    rows = np.array([[1.0, -2.0, 3.0, -100.0, 4.0]])
    assert clip_magnitudes(rows, 0.2).tolist() == [[1, -2, 3, -4, 4]]
    assert np.array_equal(np.abs(clip_magnitudes(-rows, 0.2)), np.abs(clip_magnitudes(rows, 0.2)))
    assert np.array_equal(clip_magnitudes(rows[:, :3], 0.2), rows[:, :3])


@pytest.mark.parametrize(
    ("bad", "words"), [([], "at least one"), ([1, float("nan")], "number 2 of 2"), ([[1.0]], "shape")]
)
def test_unusable_differences_are_refused(bad, words):
    with pytest.raises(DataError, match=words):
        sign_flip_test(bad)
