import math

import numpy as np
import pytest

from tests.records.runs import step
from trimtab.reports.series import column, final_passage, overwritten, smooth, speed


def test_the_last_attempt_of_each_step_is_kept():
    rows = [step(1), step(2), step(3), step(2, attempt=1, train_loss=9.0), step(3, attempt=1)]
    assert [(row["step"], row["attempt"]) for row in final_passage(rows)] == [(1, 0), (2, 1), (3, 1)]
    assert [(row["step"], row["attempt"]) for row in overwritten(rows)] == [(2, 0), (3, 0)]


def test_steps_that_were_discarded_and_not_run_again_count_as_overwritten():
    rows = [step(1), step(2), step(3), step(2, attempt=1)]
    assert [(row["step"], row["attempt"]) for row in final_passage(rows)] == [(1, 0), (2, 1)]
    evaluations = [{"step": 1, "attempt": 0}, {"step": 3, "attempt": 0}]
    assert [row["step"] for row in final_passage(evaluations, rows)] == [1]


def test_a_column_leaves_out_rows_without_a_number_and_keeps_non_finite_ones():
    series = column([step(1), step(2, train_loss=math.nan), step(3, train_loss=None), {"step": 4}], "train_loss")
    assert series.steps.tolist() == [1, 2] and np.isnan(series.values[1])
    assert series.finite().steps.tolist() == [1]
    assert len(column([], "train_loss")) == 0


def test_speed_is_the_growth_of_tokens_per_second():
    rows = [step(1), step(2), step(3, seconds=0.0), step(4, seconds=0.5)]
    series = speed(rows)
    assert series.steps.tolist() == [2, 4] and series.values.tolist() == [4096 / 0.25, 4096 / 0.5]
    assert len(speed([step(5)])) == 0


def test_speed_is_of_the_last_attempt_with_tokens_counted_over_all_attempts():
    rows = [step(1), step(2, seconds=4.0), step(3, seconds=4.0)]
    rows += [step(n, attempt=1, tokens=(n + 2) * 4096, seconds=0.5) for n in (2, 3, 4)]
    series = speed(rows)
    assert series.steps.tolist() == [2, 3, 4] and series.values.tolist() == [4096 / 0.5] * 3


def test_smoothing_keeps_a_constant_and_follows_a_steep_start():
    constant = smooth(column([step(n, train_loss=2.0) for n in range(1, 100)], "train_loss"), 50)
    assert constant.values == pytest.approx(np.full(99, 2.0))
    falling = column([step(n, train_loss=1.0 if n > 20 else 5.0) for n in range(1, 400)], "train_loss")
    smoothed = smooth(falling, 10)
    assert smoothed.values[0] == 5.0 and smoothed.values[-1] == pytest.approx(1.0, abs=1e-6)
    assert np.all(np.diff(smoothed.values) <= 1e-12)


def test_a_non_finite_value_does_not_enter_the_average():
    rows = [step(1, train_loss=2.0), step(2, train_loss=math.inf), step(3, train_loss=2.0)]
    smoothed = smooth(column(rows, "train_loss"), 5)
    assert smoothed.steps.tolist() == [1, 3] and smoothed.values.tolist() == [2.0, 2.0]
