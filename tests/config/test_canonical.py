import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.config import EarlyStopping, canonical_json, config_hash

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_the_text() -> None:
    assert canonical_json({"b": [1, 2.0, None, True], "a": "é"}) == '{"a":"é","b":[1,2.0,null,true]}'
    assert canonical_json({"x": 1e-4, "y": 0.1 + 0.2}) == '{"x":0.0001,"y":0.30000000000000004}'
    assert canonical_json(EarlyStopping(patience=3)) == '{"metric":null,"minimum_gain":0.0,"patience":3}'


def test_the_hash_is_kept() -> None:
    # A changed hash of an unchanged config would orphan every recorded run.
    assert (
        config_hash({"b": [1, 2.0, None], "a": "é"})
        == "32d7e98398accaddfbc88df3b9154791614b2ccf7d01b5e133782cfe4bcd27a4"
    )


@given(JSON)
def test_it_reads_back_and_is_a_fixed_point(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)
