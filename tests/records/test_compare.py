import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.runs import make_run, step
from trimtab.errors import RunError
from trimtab.records import ABSENT, config_delta, first_difference, rows_difference

ROWS = [step(n) for n in range(1, 6)]


def changed(index, **values):
    return [{**row, **(values if i == index else {})} for i, row in enumerate(ROWS)]


def test_equal_runs_have_no_difference_whatever_the_clock_says(tmp_path):
    a = make_run(tmp_path / "a", ROWS)
    b = make_run(tmp_path / "b", [{**row, "seconds": 9.0, "rss_mb": 1.0, "tokens_per_second": 5.0} for row in ROWS])
    assert first_difference(a, b) is None
    assert first_difference(make_run(tmp_path / "c"), make_run(tmp_path / "d")) is None


def test_the_first_step_and_column_with_both_values(tmp_path):
    a = make_run(tmp_path / "a", ROWS)
    near = math.nextafter(ROWS[2]["grad_norm"], 1)
    b = make_run(tmp_path / "b", [*changed(2, grad_norm=near)[:3], *[{**row, "train_loss": 9.0} for row in ROWS[3:]]])
    difference = first_difference(a, b)
    assert (difference.kind, difference.step, difference.column) == ("value", 3, "grad_norm")
    assert (difference.a, difference.b) == (ROWS[2]["grad_norm"], near)
    assert repr(near) in difference.message and "step 3" in difference.message


@settings(deadline=None)
@given(st.integers(0, 4), st.sampled_from(["train_loss", "lr", "grad_norm", "tokens", "aux.z"]), st.floats(5.0, 6.0))
def test_any_changed_number_is_found(index, name, value):
    base = [{**row, "aux": {"z": 1.0}} for row in ROWS]
    change = {"aux": {"z": value}} if name == "aux.z" else {name: value}
    other = [{**row, **(change if i == index else {})} for i, row in enumerate(base)]
    difference = rows_difference(base, other)
    assert difference is not None and (difference.step, difference.column) == (index + 1, name)


def test_nan_equals_nan_and_nothing_else():
    assert rows_difference(changed(1, train_loss=math.nan), changed(1, train_loss=math.nan)) is None
    assert rows_difference(changed(1, train_loss=math.nan), ROWS).step == 2


@pytest.mark.parametrize(
    ("a", "b", "ends"), [(ROWS[:3], ROWS, "A ends after step 3"), (ROWS, ROWS[:3], "B ends after step 3")]
)
def test_a_prefix(a, b, ends):
    difference = rows_difference(a, b)
    assert (difference.kind, difference.step) == ("end", 4)
    assert ends in difference.message


def test_a_value_before_the_end_comes_first():
    assert rows_difference(changed(1, lr=1.0)[:3], ROWS).step == 2


def test_a_missing_row():
    difference = rows_difference(ROWS, [*ROWS[:1], *ROWS[2:]])
    assert (difference.kind, difference.step, difference.b) == ("missing", 2, ABSENT)


def test_a_child_is_compared_from_its_first_row_on():
    assert rows_difference(ROWS, ROWS[2:]) is None
    assert rows_difference(ROWS, [{**ROWS[2], "lr": 1.0}]).step == 3


def test_runs_that_share_nothing():
    assert rows_difference(ROWS[:2], ROWS[3:]).kind == "apart"
    assert "A has none" in rows_difference([], ROWS).message
    assert rows_difference([{"step": 1, "x": 1}], [{"step": 1, "y": 1}]).kind == "apart"


def test_attempts_are_compared_as_such():
    rewound = [*ROWS[:3], step(2, attempt=1), step(3, attempt=1)]
    assert rows_difference(rewound, rewound) is None
    difference = rows_difference(rewound, [*rewound[:3], {**rewound[3], "lr": 1.0}, rewound[4]])
    assert (difference.attempt, difference.step) == (1, 2) and "attempt 1" in difference.message


def test_a_column_that_only_one_run_has_is_no_difference():
    # observers and monitors add columns and change nothing
    assert rows_difference(ROWS, [{**row, "activation_mean": 1.0} for row in ROWS]) is None


def test_damage_is_an_error_and_not_a_difference(tmp_path):
    a, b = make_run(tmp_path / "a", ROWS), make_run(tmp_path / "b", ROWS)
    a.steps_path.write_text("{\n" + a.steps_path.read_text())
    with pytest.raises(RunError, match="line 1"):
        first_difference(a, b)


def test_config_delta():
    a = {"seed": 0, "model": {"name": "decoder", "width": 256}, "hooks": [{"name": "x", "every": 1}], "old": {"k": 1}}
    b = {"seed": 0, "model": {"name": "decoder", "width": 128}, "hooks": [{"name": "x", "every": 2}], "betas": [1]}
    assert config_delta(a, b) == [
        ("model.width", 256, 128),
        ("hooks.0.every", 1, 2),
        ("old.k", 1, ABSENT),
        ("betas", ABSENT, [1]),
    ]
    assert config_delta(a, a) == []
    assert config_delta({"x": None}, {"x": {"y": 1}}) == [("x", None, {"y": 1})]
    assert config_delta({"x": {}}, {"x": {"y": 1}}) == [("x.y", ABSENT, 1)]
    assert config_delta({"x": [1, 2]}, {"x": [1]}) == [("x", [1, 2], [1])]
    assert config_delta({"x": {}}, {}) == [("x", {}, ABSENT)]
