"""Columns in bounded memory: no value outside the extremes of its bucket, and no extreme lost."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.hud.table import Table, nearest

NUMBERS = st.one_of(
    st.floats(width=32), st.integers(-(10**6), 10**6), st.none(), st.sampled_from(["nan", "inf", "-inf", "word"])
)


def known(value: object) -> float | None:
    """The finite number that a recorded value is; None for any other."""
    number = float(value) if isinstance(value, int | float) else math.nan
    return number if math.isfinite(number) else None


@given(st.lists(st.dictionaries(st.sampled_from("abc"), NUMBERS), max_size=200), st.integers(2, 16), st.integers(1, 30))
def test_every_value_is_within_the_extremes_of_its_bucket(rows: list[dict], buckets: int, piece: int) -> None:
    table = Table(buckets)
    for start in range(0, len(rows), piece):
        table.extend(rows[start : start + piece])
    for key in "abc":
        values = [value for row in rows if (value := known(row.get(key))) is not None]
        low, high = table.spans(key)
        assert len(low) in (0, len(table.places()))
        assert all(one <= other or (one, other) == (math.inf, -math.inf) for one, other in zip(low, high, strict=True))
        assert min(low, default=math.inf) == min(values, default=math.inf)
        assert max(high, default=-math.inf) == max(values, default=-math.inf)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(2, 40))
def test_spans_are_the_rows_in_order(values: list[float], buckets: int) -> None:
    table = Table(buckets)
    table.extend({"step": step, "y": value} for step, value in enumerate(values))
    places, (low, high) = table.places("step"), table.spans("y")
    assert places == sorted(places)
    assert len(places) == len(low) == len(high)
    ends = [*places[1:], len(values)]
    for start, end, least, most in zip(places, ends, low, high, strict=True):
        within = values[int(start) : int(end)]
        assert (least, most) == (min(within), max(within))


def test_one_extreme_row_of_a_hundred_thousand_stays_and_memory_is_bounded() -> None:
    table = Table(512)
    for start in range(0, 100_000, 1000):
        table.extend({"step": s, "loss": 99.0 if s == 54_321 else 1.0} for s in range(start, start + 1000))
    low, high = table.spans("loss")
    assert len(low) < 512 + 2 * 1024 + 1
    assert max(high) == 99.0
    place = table.places("step")[high.index(99.0)]
    assert place <= 54_321 < place + table.size


def test_a_column_that_begins_late_has_gaps_before() -> None:
    table = Table(4)
    table.extend({"step": step} for step in range(9))
    table.extend([{"step": 9, "late": 5.0}])
    low, _ = table.spans("late")
    assert len(low) == len(table.places("step"))
    assert [value for value in low if value != math.inf] == [5.0]


def test_values_that_are_not_finite_are_gaps_and_counted() -> None:
    table = Table()
    table.extend([{"x": 1.0}, {"x": "nan"}, {"x": math.inf}, {"x": 10**400}, {"x": 2.0}])
    assert table.columns["x"].broken == 3
    assert table.spans("x") == ([1.0, math.inf, math.inf, math.inf, 2.0], [1.0, -math.inf, -math.inf, -math.inf, 2.0])


def test_nested_values_and_lists_are_columns_of_their_own() -> None:
    table = Table()
    table.extend([{"aux": {"model.gate": 0.5, "more": {"deep": 2}}, "plan": [0.25, 0.75], "flag": True, "name": "x"}])
    assert set(table.columns) == {"aux.model.gate", "aux.more.deep", "plan.0", "plan.1"}


@pytest.mark.parametrize(("value", "index"), [(-5.0, 0), (1.4, 1), (1.6, 2), (99.0, 3)])
def test_the_nearest_place(value: float, index: int) -> None:
    assert nearest([0.0, 1.0, 2.0, 3.0], value) == index
