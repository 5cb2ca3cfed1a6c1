"""Schedules, compared with their formulas."""

import math

import pytest

from trimtab.training.builtins.schedules import constant, cosine, linear, wsd


def test_the_constant_schedule_warms_up_linearly() -> None:
    assert [constant()(step) for step in (1, 50, 100)] == [1, 1, 1]
    assert [constant(warmup=4)(step) for step in (1, 2, 4, 5)] == [0.25, 0.5, 1, 1]


def test_cosine() -> None:
    factor = cosine(steps=110, warmup=10, final=0.1)
    assert factor(5) == 0.5
    assert factor(10) == 1
    assert factor(60) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert factor(110) == pytest.approx(0.1)


def test_linear() -> None:
    factor = linear(steps=110, warmup=10, final=0.2)
    assert factor(10) == 1
    assert factor(60) == pytest.approx(0.6)
    assert factor(110) == pytest.approx(0.2)


def test_wsd() -> None:
    factor = wsd(steps=100, warmup=10, decay=0.2, final=0.0)
    assert [factor(step) for step in (5, 10, 50, 80)] == [0.5, 1, 1, 1]
    assert factor(90) == pytest.approx(0.5)
    assert factor(100) == 0


@pytest.mark.parametrize("make", [cosine, linear, wsd])
def test_factors_stay_within_bounds_also_past_the_end(make) -> None:  # type: ignore[no-untyped-def]
    factor = make(steps=20, warmup=50)
    assert all(0 <= factor(step) <= 1 for step in range(1, 60))
