import math
import warnings

import numpy as np
import pytest

from trimtab.errors import ConfigError, DataError
from trimtab.evidence import (
    Claim,
    clustered_interval,
    confirmable_claims,
    judge,
    noise_floor,
    paired_differences,
    pairs_needed,
    plan,
    power,
    sign_flip_e_values,
    t_confidence_sequence,
    t_e_values,
    t_interval,
    tail,
    trunk_means,
)
from trimtab.evidence.arrays import root_mean_square, scaled, unscaled

ORDINARY = [-0.07, -0.11, -0.08, -0.06, -0.13, -0.09, 0.02, -0.06]
FAR = [-1000, -600, 600, 1000]
"""Powers of two by which figures are multiplied without rounding, down and up to the ends of a float's range."""


def figures(verdict):
    keys = ("verdict", "p_value", "e_value", "p_win", "nonzero", "pairs_needed", "level")
    return [getattr(verdict, key) for key in keys] + [verdict.tail]


@pytest.mark.parametrize("exponent", FAR)
@pytest.mark.parametrize("scale", ["plain", "trimmed"])
def test_a_verdict_does_not_depend_on_the_unit_of_the_metric(exponent, scale):
    unit = 2.0**exponent
    here = judge(ORDINARY, Claim("loss", False, 0.03, scale=scale))
    there = judge(np.array(ORDINARY) * unit, Claim("loss", False, 0.03 * unit, scale=scale))
    assert figures(there) == figures(here)
    assert there.mean_difference / unit == here.mean_difference
    assert there.sd_difference / unit == here.sd_difference > 0
    assert [end / unit for end in there.confidence_interval] == list(here.confidence_interval)


@pytest.mark.parametrize("exponent", FAR)
def test_every_statistic_scales_with_its_unit(exponent):
    unit, d = 2.0**exponent, np.array(ORDINARY)
    assert t_interval(d * unit).sd / unit == t_interval(d).sd
    assert noise_floor(d * unit) / unit == noise_floor(d)
    assert root_mean_square(d * unit) / unit == root_mean_square(d)
    assert tail(d * unit) == tail(d)
    assert sign_flip_e_values(d * unit).tolist() == sign_flip_e_values(d).tolist()
    assert t_e_values(d * unit).tolist() == t_e_values(d).tolist()
    assert [end / unit for end in t_confidence_sequence(d * unit)] == list(t_confidence_sequence(d))
    assert (trunk_means(d * unit, [0, 0, 0, 1, 1, 1, 2, 2])[1] / unit).tolist() == (
        trunk_means(d, [0, 0, 0, 1, 1, 1, 2, 2])[1].tolist()
    )
    assert clustered_interval(d * unit, [0, 0, 0, 1, 1, 1, 2, 2]).mean / unit == (
        clustered_interval(d, [0, 0, 0, 1, 1, 1, 2, 2]).mean
    )


@pytest.mark.parametrize("largest", [1.7e308, 1e200, 1e-302, 5e-324])
def test_the_largest_and_smallest_numbers_give_finite_results(largest):
    d = np.array([1.0, -1.0, 1.0, 0.5, 1.0, 0.75]) * largest
    verdict = judge(d, Claim("loss", False, 0.02))
    assert math.isfinite(verdict.mean_difference)
    assert math.isfinite(verdict.sd_difference)
    assert verdict.sd_difference > 0
    assert not any(math.isnan(end) for end in verdict.confidence_interval)
    assert 0 <= verdict.e_value < math.inf


def test_one_number_far_above_the_others_gives_no_nan():
    d = [1e-300, 2e-300, -1e-300, 1e300, 3e-300, 1e-300]
    assert np.isfinite(sign_flip_e_values(d)).all()
    values = t_e_values(d)
    assert np.isfinite(values).all()
    assert values[:3] == pytest.approx(t_e_values([1.0, 2.0, -1.0]))


def test_scaling_is_exact():
    d = np.random.default_rng(0).normal(size=100) * 1e200
    small, unit = scaled(d)
    assert np.abs(small).max() < 2
    assert unscaled(small, unit).tolist() == d.tolist()
    assert np.frexp(unit)[0].tolist() == [0.5]


def test_log_differences_of_numbers_far_apart():
    result = paired_differences([1.0, 1e-300, 1e300, 2.0], [1e-300, 1e300, 1e-300, 2.0], "log")
    assert result == pytest.approx([math.log(1e-300), math.log(1e300) * 2, -math.log(1e300) * 2, 0.0])


def test_a_difference_beyond_the_largest_number_is_refused():
    with pytest.raises(DataError, match="Pair 2 of 2.*further apart"):
        paired_differences([0.0, -1.5e308], [1.0, 1.5e308])


def test_a_margin_far_below_the_spread_has_no_number_of_pairs_needed():
    assert pairs_needed(1e-300, 1.0) is None
    assert pairs_needed(1.0, 1e-300) == 6
    verdict = judge([0.1, -0.2, 0.3, 0.1, -0.1, 0.2], Claim("loss", False, 1e-300))
    assert verdict.pairs_needed is None
    assert "more than 1e+24 pairs" in plan(12, margin=1e-300, sd=1.0)
    assert power(1e300, 8).verdict > 0.9


@pytest.mark.parametrize("alpha", [0.0, 1e-320, 1e-15, 0.5, -1.0, math.nan])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match="alpha"):
        Claim("loss", False, 0.02, alpha)
    with pytest.raises(ConfigError, match="alpha"):
        plan(12, alpha=alpha)


def test_thousands_of_pairs_can_be_planned():
    assert confirmable_claims(5000) == confirmable_claims(1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = plan(3000, 4)
    assert "more than a million claims" in text
