import math

import pytest

from trimtab.reports.blocks import DASH, figure


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345.6, "12,346"),
        (-2e7, "-20,000,000"),
        (1e300, "1e+300"),
        (1e-300, "1e-300"),
        (math.inf, "inf"),
        (math.nan, DASH),
        (None, DASH),
    ],
)
def test_a_number_is_short_at_any_size(value, text):
    assert figure(value) == text
