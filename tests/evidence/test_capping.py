import math

import numpy as np
import pytest

from trimtab.errors import DataError
from trimtab.evidence import cap


def test_diverged_losses_are_capped_and_counted():
    capped = cap([1.0, 90.0, math.nan, math.inf, 80.0], [False, True, True, False, False], 5.5, higher_is_better=False)
    assert capped.values.tolist() == [1.0, 5.5, 5.5, 5.5, 80.0]  # the last did not diverge: it is what it is
    assert capped.count == 3
    assert capped.diverged.tolist() == [False, True, True, True, False]


def test_a_better_value_than_the_untrained_models_is_kept():
    assert cap([0.1, 0.6], [True, True], 0.25, higher_is_better=True).values.tolist() == [0.25, 0.6]
    assert cap([0.1, 0.6], [True, True], 0.25, higher_is_better=False).values.tolist() == [0.1, 0.25]
    assert cap([0.1, 0.6], [True, True], 0.25, higher_is_better=None).values.tolist() == [0.25, 0.25]
    assert cap([-math.inf], [False], 0.25, higher_is_better=False).values.tolist() == [0.25]


def test_each_run_may_have_its_own_untrained_value():
    assert cap([9.0, 9.0], [True, True], np.array([5.0, 6.0]), False).values.tolist() == [5.0, 6.0]
    assert cap([1.0, 9.0], [False, True], np.array([math.nan, 6.0]), False).values.tolist() == [1.0, 6.0]


def test_a_diverged_run_without_an_untrained_value_is_refused():
    with pytest.raises(DataError, match="Run 2 of 2 diverged"):
        cap([1.0, math.nan], [False, False], math.nan, False)
