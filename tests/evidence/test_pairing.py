import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import DataError
from trimtab.evidence import given_action, paired_differences, treatment_wins, trunk_means


def test_differences_are_treatment_minus_baseline():
    assert paired_differences([1, 2], [3, 2.5]).tolist() == [2, 0.5]
    assert paired_differences([1, 2], [math.e, 2], "log").tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize(
    ("a", "b", "scale", "word"),
    [
        ([1, 2], [1], "plain", "2 values"),
        ([1, 0], [1, 1], "log", "above 0"),
        ([1, math.inf], [1, 1], "plain", "number 2"),
    ],
)
def test_values_that_cannot_be_paired_are_refused(a, b, scale, word):
    with pytest.raises(DataError, match=word):
        paired_differences(a, b, scale)


def test_futures_of_one_trunk_are_averaged_to_one_difference():
    names, means = trunk_means([1.0, 3.0, 10.0], ["a", "a", "b"])
    assert names == ("a", "b")
    assert means.tolist() == [2, 10]
    with pytest.raises(DataError, match="its trunk"):
        trunk_means([1.0], ["a", "b"])


def test_a_tie_counts_as_half_a_win():
    assert treatment_wins([-1, -2, 0, 3], higher_is_better=False) == 2.5 / 4
    assert treatment_wins([-1, -2, 0, 3], higher_is_better=True) == 1.5 / 4


@given(st.lists(st.integers(-3, 3), min_size=1))
def test_the_win_shares_of_both_arms_sum_to_1(d):
    assert treatment_wins(d, True) + treatment_wins(d, False) == pytest.approx(1)
    assert treatment_wins(d, True) == treatment_wins(-np.array(d), False)


def test_the_effect_given_action_is_that_of_the_pairs_that_differ():
    acted = given_action([0.0, 0.0, 1.0, 3.0])
    assert (acted.n, acted.mean) == (2, 2)
    assert given_action([0.0, 0.0]) is None
