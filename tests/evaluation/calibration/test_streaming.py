import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.evaluation.calibration import ReliabilityBins, calibration_report, reliability_diagram


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20), st.integers(0, 40)
)
@settings(deadline=None)
def test_bins_filled_batch_by_batch_equal_those_of_all_items(pairs, bins, cut):
    c, y = (np.array(column) for column in zip(*pairs, strict=True))
    made = ReliabilityBins(bins)
    made.add(c[:cut], y[:cut])
    made.add(c[cut:], y[cut:])
    assert made.ece() == pytest.approx(
        calibration_report(c, y, bins=bins, bootstrap=0, null=0, seed=0).ece.value, abs=1e-12
    )
    diagram, plain = reliability_diagram(c, y, bins=bins, bootstrap=0, null=0, seed=0), made.as_dict()
    assert plain["count"] == diagram.count.tolist() and plain["bins"] == bins
    for name in ("confidence", "accuracy"):
        expected = [None if math.isnan(v) else pytest.approx(v) for v in getattr(diagram, name)]
        assert plain[name] == expected
    assert json.loads(json.dumps(plain)) == plain


def test_single_precision_confidences_of_0_and_1_have_bins():
    made = ReliabilityBins()
    made.add(np.array([0.0, 1.0, 1.0], dtype=np.float32), np.array([0.0, 1.0, 0.0], dtype=np.float32))
    assert made.as_dict()["count"] == [1, *[0] * 13, 2] and made.ece() == pytest.approx(1 / 3)
    assert made.as_dict()["accuracy"][-1] == 0.5 and made.as_dict()["accuracy"][5] is None


def test_without_items_the_error_is_nan():
    made = ReliabilityBins(3)
    made.add(np.zeros(0), np.zeros(0, dtype=bool))
    assert math.isnan(made.ece())
    assert made.as_dict() == {"bins": 3, "count": [0, 0, 0], "confidence": [None] * 3, "accuracy": [None] * 3}


def test_unusable_input_is_refused():
    with pytest.raises(ValueError, match="that of item 0 is nan"):
        ReliabilityBins().add(np.array([np.nan]), np.array([1]))
    with pytest.raises(ValueError, match="one value for each of the 2 items"):
        ReliabilityBins().add(np.array([0.1, 0.2]), np.array([1]))
    with pytest.raises(ValueError, match="at least 1"):
        ReliabilityBins(0)
