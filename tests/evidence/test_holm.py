import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.evidence import holm


def test_an_example_computed_by_hand():
    # 0.01·4, 0.02·3, max(0.03·2, .06), max(.04·1, .06)
    result = holm([0.03, 0.01, 0.04, 0.02])
    assert result.p_adjusted == pytest.approx((0.06, 0.04, 0.06, 0.06))
    assert result.alphas == pytest.approx((0.025, 0.0125, 0.05, 0.05 / 3))


def test_one_claim_is_not_adjusted_and_no_claim_gives_an_empty_result():
    assert holm([0.03]) == holm([0.03], ties=[0.5])
    assert holm([0.03]).p_adjusted == (0.03,)
    assert holm([]).p_adjusted == ()


def test_equal_p_values_are_ordered_by_the_ties():
    assert holm([0.01, 0.01], ties=[0.2, 0.1]).alphas == (0.05, 0.025)
    assert holm([0.01, 0.01]).alphas == (0.025, 0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_values_lie_between_raw_and_bonferroni_in_the_same_order(p):
    adjusted = np.array(holm(p).p_adjusted)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    # Adjusting and stepping down by hand confirm the same claims.
    confirmed, left = set(), len(p)
    for index in order:
        if p[index] > 0.05 / left:
            break
        confirmed.add(int(index))
        left -= 1
    near = {i for i in range(len(p)) if abs(adjusted[i] - 0.05) < 1e-9}
    assert {int(i) for i in np.flatnonzero(adjusted <= 0.05)} - near == confirmed - near
