import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import beta

from tests.evaluation.calibration.samples import calibrated, overconfident
from trimtab.evaluation.calibration import calibration_report, reliability_diagram, risk_coverage
from trimtab.evaluation.calibration.figure import figures, interval
from trimtab.evaluation.calibration.measures import ENDS
from trimtab.evaluation.calibration.resampling import bootstrap


@pytest.mark.parametrize(("n", "floor", "digits"), [(100, 0.11, 2), (1000, 0.036, 3)])
def test_the_floor_of_a_perfect_predictor_is_the_documented_one(n, floor, digits):
    # It hangs on the confidences: these lie evenly under a Beta(4.3, 2), two thirds on average.
    c = beta.ppf((np.arange(n) + 0.5) / n, 4.3, 2.0)
    report = calibration_report(c, c > 0.5, bootstrap=0, null=4000, seed=0)
    assert round(report.ece.null_floor, digits) == floor
    assert report.ece.low is None and report.ece.high is None


def test_the_floor_of_equal_confidences_agrees_with_the_normal_approximation():
    # A bin's gap is normal with variance c(1 − c)/n_b: its mean size is √(2/π) of its deviation.
    c = (np.arange(3000) + 0.5) / 3000
    bins = c.reshape(15, 200)
    expected = np.sqrt(2 / np.pi) * np.mean(np.sqrt((bins * (1 - bins)).mean(axis=1) / 200))
    report = calibration_report(c, c > 0.5, bootstrap=0, null=2000, seed=0)
    assert report.ece.null_floor == pytest.approx(expected, rel=0.03)


def test_the_floor_is_the_mean_score_of_fresh_samples_of_a_perfect_predictor():
    c, y = calibrated(400, seed=1)
    report = calibration_report(c, y, bootstrap=0, null=2000, seed=0)
    generator = np.random.default_rng(2)
    others = [calibration_report(c, generator.random(400) < c, bootstrap=0, null=0, seed=0) for _ in range(300)]
    for name in ("ece", "ece_mass", "smooth_ece", "debiased", "brier", "nll", "aurc", "excess_aurc", "reliability"):
        scores = np.array([getattr(other, name).value for other in others])
        result = getattr(report, name)
        assert result.null_floor == pytest.approx(scores.mean(), abs=4 * scores.std() / np.sqrt(300)), name
        assert np.mean(scores <= result.null_high) == pytest.approx(0.95, abs=0.05), name
    assert others[0].ece.null_floor is None


def test_a_miscalibrated_predictor_is_above_its_floor():
    report = calibration_report(*overconfident(2000), bootstrap=200, null=200, seed=0)
    for name in ("ece", "ece_mass", "debiased", "debiased_squared", "smooth_ece", "reliability", "overconfidence"):
        result = getattr(report, name)
        assert result.low > result.null_high, name
    assert report.overconfidence.low < 0.1 < report.overconfidence.high
    assert report.debiased.low < 0.1 < report.debiased.high


def test_the_same_seed_gives_the_same_report():
    c, y = calibrated(80)
    first = calibration_report(c, y, bootstrap=50, null=50, seed=3).as_dict()
    assert calibration_report(c, y, bootstrap=50, null=50, seed=3).as_dict() == first
    other = calibration_report(c, y, bootstrap=50, null=50, seed=4).as_dict()
    assert other["ece"]["low"] != first["ece"]["low"] and other["ece"]["value"] == first["ece"]["value"]
    more = calibration_report(c, y, bootstrap=99, null=50, seed=3).as_dict()
    assert more["ece"]["null_floor"] == first["ece"]["null_floor"]


def test_a_report_is_json_ready():
    report = calibration_report(
        [0.0, 1.0, 0.5, 0.5] * 5, [1, 1, 0, 1] * 5, groups=["a", "b"] * 10, bootstrap=20, null=20, seed=0
    )
    plain = report.as_dict()
    assert set(ENDS) < set(plain) and plain["clusters"] == [2]
    assert set(plain["ece"]) == {"value", "low", "high", "null_floor", "null_high"}
    assert plain["nll"]["value"] == float("inf") and plain["nll"]["null_floor"] < 1
    assert json.loads(json.dumps(plain)) == plain


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_figures_of_any_sample_are_in_range(pairs, seed):
    c, y = zip(*pairs, strict=True)
    report = calibration_report(c, y, bootstrap=20, null=20, seed=seed)
    for name, (lowest, highest) in ENDS.items():
        result = getattr(report, name)
        ends = [end for end in (result.low, result.high) if end is not None]
        assert not np.isnan(ends).any() and (result.low is None) == (result.high is None)
        assert all(lowest <= end <= highest for end in ends)
        assert not ends or (result.low <= result.value + 1e-12 and result.value <= result.high + 1e-12), name
        if len(pairs) == 1:
            assert not ends  # one item: there is nothing to resample


def test_clusters_widen_the_interval():
    # 40 clusters of 25 items that are right or wrong together.
    generator = np.random.default_rng(0)
    right = np.repeat(generator.random(40) < 0.7, 25)
    c = np.full(1000, 0.7)
    groups = np.repeat(np.arange(40), 25)
    alone = calibration_report(c, right, null=0, seed=0).accuracy
    together = calibration_report(c, right, groups=groups, null=0, seed=0).accuracy
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(5, rel=0.15)
    both = calibration_report(c, right, groups=np.stack([groups, np.tile(np.arange(25), 40)], axis=1), null=0, seed=0)
    assert both.clusters == (40, 25)
    assert both.accuracy.high - both.accuracy.low == pytest.approx(together.high - together.low, rel=0.1)
    one = calibration_report(c, right, groups=np.zeros(1000), null=0, seed=0)
    assert one.accuracy.low is None and one.clusters == (1,)
    single = calibration_report(c, right, groups=np.stack([np.zeros(1000), groups], axis=1), null=0, seed=0)
    assert single.accuracy == together and single.clusters == (1, 40)


def counts_of(clusters, n, draws=400):
    return [
        (way.units, way.draws["counts"])
        for way in bootstrap(lambda counts: {"counts": counts}, clusters, n, draws, np.random.default_rng(0))
    ]


def test_resamples_draw_items_or_whole_clusters():
    ((units, counts),) = counts_of(None, 7)
    assert units == 7 and (counts.sum(axis=1) == 7).all() and counts.var() == pytest.approx(1 - 1 / 7, rel=0.15)
    ((units, counts),) = counts_of(np.array([[0], [1], [0], [2]]), 4)
    assert units == 3 and (counts[:, 0] == counts[:, 2]).all() and (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    two = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
    (seeds, a), (items, b), (cells, c) = counts_of(two, 5)
    assert (seeds, items, cells) == (2, 2, 4)
    assert (a[:, 0] == a[:, 1]).all() and (b[:, 0] == b[:, 2]).all() and (c[:, 3] == c[:, 4]).all()
    assert (c[:, :4].sum(axis=1) == 4).all() and len(c) == 400
    assert counts_of(None, 1) == counts_of(None, 5, 0) == counts_of(np.zeros((5, 2), dtype=int), 5) == []


def test_the_interval_contains_the_value_and_is_wider_for_few_units():
    draws = np.linspace(0.2, 0.4, 2001)
    many = interval(0.25, (0.0, 1.0), [(10**6, draws)], 0.9)
    assert many == pytest.approx((0.16, 0.34), abs=1e-3)
    few = interval(0.25, (0.0, 1.0), [(4, draws)], 0.9)
    stretch = np.sqrt(4 / 3) * stats.t(3).ppf(0.95) / stats.norm.ppf(0.95)
    assert few == pytest.approx((0.25 - 0.09 * stretch, 0.25 + 0.09 * stretch), abs=1e-3)
    assert interval(0.05, (0.0, 1.0), [(100, draws)], 0.9)[0] == 0.0
    assert interval(np.nan, (0.0, 1.0), [(100, draws)], 0.9) == interval(0.5, (0.0, 1.0), [], 0.9) == (None, None)
    assert interval(0.5, (0.0, 1.0), [(100, np.full(9, 0.5))], 0.9) == (0.5, 0.5)
    infinite = interval(np.inf, (0.0, np.inf), [(100, np.array([1.0, np.inf, np.inf, np.inf]))], 0.5)
    assert infinite == (1.0, np.inf)


def test_variances_of_two_clusterings_add_up_minus_their_intersection():
    shape = np.linspace(-1, 1, 2001) * np.sqrt(3)  # variance 1
    many = 10**6

    def half(*spread):
        low, high = interval(0.0, (-99.0, 99.0), [(many, s * shape) for s in spread], 0.9)
        return (high - low) / 2 / (0.9 * np.sqrt(3))

    assert half(3.0, 4.0, 0.0) == pytest.approx(5.0, rel=1e-3)
    assert half(3.0, 4.0, 3.0) == pytest.approx(4.0, rel=1e-3)
    assert half(1.0, 1.0, 1.0) == pytest.approx(1.0, rel=1e-3)
    assert half(1.0, 2.0, 5.0) == pytest.approx(2.0, rel=1e-3)  # never under the larger
    assert (
        figures({"x": np.array([0.1])}, {"x": (0.0, 1.0)}, [], {"x": np.array([np.nan])}, 0.9)["x"].null_floor is None
    )


def test_intervals_cover_at_their_level():
    # Overconfident by .1. Where the truth has no formula it is the mean score of samples of this size.
    reports = [calibration_report(*overconfident(200, seed=s), bootstrap=200, null=0, seed=s) for s in range(150)]
    for name, truth in (("accuracy", 0.45), ("debiased", 0.1), ("brier", None), ("smooth_ece", None), ("aurc", None)):
        result = [getattr(report, name) for report in reports]
        wanted = np.mean([one.value for one in result]) if truth is None else truth
        assert np.mean([one.low <= wanted <= one.high for one in result]) >= 0.88, name


@pytest.mark.parametrize(
    ("confidence", "correct", "changes", "words"),
    [
        ([], [], {}, "at least one number"),
        ([[0.5]], [1], {}, "shape is \\(1, 1\\)"),
        ([0.5, np.nan], [1, 1], {}, "confidence should lie in \\[0, 1\\]; that of item 1 is nan"),
        ([0.5, 1.1], [1, 1], {}, "item 1 is 1.1"),
        ([-0.01], [1], {}, "item 0 is -0.01"),
        (["a"], [1], {}, "confidence should be numbers"),
        ([0.5], [1, 0], {}, "correct should have one value for each of the 1 items"),
        ([0.5], [0.5], {}, "correct should be 0 or 1"),
        ([0.5], [np.nan], {}, "correct should be 0 or 1"),
        ([0.5], [1], {"groups": [1, 2]}, "groups should give a cluster"),
        ([0.5], [1], {"groups": np.zeros((1, 3))}, "a row of two, for each of 1 items; found \\(1, 3\\)"),
        ([0.5], [1], {"bins": 0}, "bins should be at least 1"),
        ([0.5], [1], {"bootstrap": -1}, "bootstrap and null should be 0 or more"),
        ([0.5], [1], {"level": 1.0}, "level should lie between 0 and 1"),
    ],
)
def test_unusable_input_is_refused(confidence, correct, changes, words):
    with pytest.raises(ValueError, match=words):
        calibration_report(confidence, correct, seed=0, **changes)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_the_diagram_has_the_bins_of_ece():
    c, y = overconfident(600)
    result = reliability_diagram(c, y, bootstrap=200, null=200, seed=0)
    report = calibration_report(c, y, bootstrap=0, null=0, seed=0)
    full = result.count > 0
    share = result.count[full] / result.count.sum()
    assert (share * np.abs(result.confidence[full] - result.accuracy[full])).sum() == pytest.approx(report.ece.value)
    assert result.count.sum() == 600 and np.isnan(result.accuracy[~full]).all() and not full[0]
    assert (result.low[full] <= result.accuracy[full]).all() and (result.accuracy[full] < result.high[full]).all()
    middle = (result.null_low + result.null_high)[full] / 2
    assert np.abs(middle - result.confidence[full]).max() < 0.05
    assert (result.confidence[full] - result.accuracy[full]).mean() > 0.05
    assert result.edges[[0, -1]].tolist() == [0, 1] and len(result.edges) == 16


def test_a_bin_without_errors_has_an_interval():
    report = reliability_diagram([0.97] * 4, [1] * 4, bootstrap=50, null=50, seed=0)
    assert report.accuracy[-1] == report.high[-1] == 1.0
    assert report.low[-1] == pytest.approx(4 / (4 + 1.959964**2))  # Wilson's, all right


def test_the_risk_of_an_informative_predictor_rises_with_coverage():
    c, y = calibrated(2000)
    curve = risk_coverage(c, y, bootstrap=100, null=100, seed=0)
    assert curve.coverage[-1] == 1.0 and curve.risk[-1] == pytest.approx(1 - y.mean())
    assert curve.risk[0] < 0.1 < 0.25 < curve.risk[-1]
    assert ((curve.low <= curve.risk) & (curve.risk <= curve.high)).all()
    assert np.abs(curve.null_risk - curve.risk).max() < 0.05
    half = np.sort(c)[::-1][:1000].min()
    assert curve.risk[9] == pytest.approx(1 - y[c >= half].mean())
    tied = risk_coverage([0.5, 0.5], [1, 0], bootstrap=0, null=0, seed=0)
    assert tied.risk == pytest.approx(0.5) and np.isnan(tied.low).all()
