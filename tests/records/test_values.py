import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.records.values import flatten, numbers_in, same, to_json

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(deadline=None)
@given(trees)
def test_any_tree_becomes_strict_json(value):
    text = json.dumps(to_json(value), allow_nan=False)
    assert to_json(json.loads(text)) == to_json(value)


@settings(deadline=None)
@given(st.recursive(st.floats() | st.integers(), lambda inner: st.dictionaries(st.text(alphabet="xyz"), inner)))
def test_numbers_come_back_bit_for_bit(value):
    assert same(numbers_in(json.loads(json.dumps(to_json(value)))), value)


def test_non_finite_floats_are_strings_at_any_depth():
    assert to_json({"a": [math.nan, {"b": (math.inf, -math.inf)}]}) == {"a": ["nan", {"b": ["inf", "-inf"]}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), 0.10000000149011612),
        (np.float64(0.1), 0.1),
        (np.float32("nan"), "nan"),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
        (torch.tensor(float("inf")), "inf"),
        (torch.tensor(7), 7),
        (Path("a") / "b", "a/b"),
    ],
)
def test_scalars_and_paths(value, expected):
    result = to_json(value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, torch.zeros(2), np.zeros(1), {1, 2}, b"x"])
def test_what_cannot_be_read_back_is_refused(value):
    with pytest.raises(TypeError):
        to_json(value)


def test_flatten_keeps_order_and_empty_mappings():
    row = {"a": {"c": 1, "b": {"d": 2}}, "e": {}, "f": [1]}
    assert list(flatten(row)) == [("a.c", 1), ("a.b.d", 2), ("e", {}), ("f", [1])]


def test_same_is_exact():
    assert same({"a": [math.nan, 1]}, {"a": [math.nan, 1.0]})
    assert not same(0.1 + 0.2, 0.3)
    assert not same(True, 1)
    assert not same({"a": 1}, {"a": 1, "b": 2})
    assert not same([1], [1, 2])
