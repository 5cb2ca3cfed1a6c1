"""Each figure against its formula written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.calibration.samples import calibrated
from trimtab.evaluation.calibration import calibration_report
from trimtab.evaluation.calibration.arrays import as_clusters
from trimtab.evaluation.calibration.binning import mass_bins, width_bins
from trimtab.evaluation.calibration.figure import interval
from trimtab.evaluation.calibration.measures import ENDS, Items, measure

PAIRS = st.lists(
    st.tuples(st.one_of(st.sampled_from([0.0, 1.0, 0.2, 0.5, 0.6]), st.floats(0, 1)), st.integers(0, 1)),
    min_size=1,
    max_size=40,
)


def figures_of(confidence, correct, bins=15):
    c, y = np.asarray(confidence, float), np.asarray(correct, float)
    items = Items.ordered(c, y, None, bins)
    result = measure(items, np.ones((1, c.size)), items.correct[None, :])
    return {name: float(values[0]) for name, values in result.items()}


def by_bins(index, c, y):
    for b in np.unique(index):
        inside = index == b
        yield inside.sum() / len(c), inside.sum(), c[inside], y[inside]


def by_formula(c, y, bins):
    n = len(c)
    width = np.array([min(int(x * bins), bins - 1) for x in c])
    mass = mass_bins(c, bins)
    result = {"accuracy": y.mean(), "mean_confidence": c.mean(), "overconfidence": c.mean() - y.mean()}
    result["ece"] = sum(share * abs(cs.mean() - ys.mean()) for share, _, cs, ys in by_bins(width, c, y))
    result["ece_mass"] = sum(share * abs(cs.mean() - ys.mean()) for share, _, cs, ys in by_bins(mass, c, y))
    usable = [(k, cs.mean(), ys.mean()) for _, k, cs, ys in by_bins(mass, c, y) if k > 1]
    used = sum(k for k, _, _ in usable)
    terms = sum(k * ((a - b) ** 2 - b * (1 - b) / (k - 1)) for k, a, b in usable)
    result["debiased_squared"] = terms / used if used else np.nan
    result["debiased"] = np.sqrt(max(result["debiased_squared"], 0)) if used else np.nan
    result["brier"] = ((c - y) ** 2).mean()
    result["reliability"] = sum(s * (cs.mean() - ys.mean()) ** 2 for s, _, cs, ys in by_bins(width, c, y))
    result["resolution"] = sum(s * (ys.mean() - y.mean()) ** 2 for s, _, cs, ys in by_bins(width, c, y))
    result["uncertainty"] = y.mean() * (1 - y.mean())
    result["within_bins"] = sum(
        ((cs - cs.mean()) ** 2).sum() / n - 2 * ((cs - cs.mean()) * (ys - ys.mean())).sum() / n
        for _, _, cs, ys in by_bins(width, c, y)
    )
    with np.errstate(divide="ignore"):
        result["nll"] = -np.where(y == 1, np.log(c), np.log1p(-c)).mean()
    # Mean risk over all prefixes, every item of a tie standing for the tie's mean error.
    order = np.argsort(-c, kind="stable")
    error = np.array([(1 - y)[c == x].mean() for x in c])[order]
    result["aurc"] = np.mean(np.cumsum(error) / np.arange(1, n + 1))
    best = np.sort(1 - y)
    result["excess_aurc"] = result["aurc"] - np.mean(np.cumsum(best) / np.arange(1, n + 1))
    return result


@given(PAIRS, st.integers(1, 20))
@settings(deadline=None)
def test_every_figure_equals_its_formula(pairs, bins):
    c, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    result, expected = figures_of(c, y, bins), by_formula(c, y, bins)
    assert set(result) - set(expected) == {"smooth_ece"}
    for name, value in expected.items():
        slack = 1e-7 if name == "debiased" else 1e-9  # a root enlarges rounding errors near 0
        assert result[name] == pytest.approx(value, abs=slack, nan_ok=True), name


@given(PAIRS)
@settings(deadline=None)
def test_the_order_of_the_items_does_not_matter(pairs):
    c, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    assert figures_of(c, y) == pytest.approx(figures_of(c[::-1], y[::-1]), abs=1e-7, nan_ok=True)


@given(PAIRS, st.integers(2, 4))
@settings(deadline=None)
def test_the_brier_score_is_the_sum_of_its_parts_and_figures_stay_in_range(pairs, times):
    c, y = (np.array(column * times, float) for column in zip(*pairs, strict=True))
    result = figures_of(c, y)
    parts = result["reliability"] - result["resolution"] + result["uncertainty"] + result["within_bins"]
    assert result["brier"] == pytest.approx(parts, abs=1e-12)
    for name, (low, high) in ENDS.items():
        assert low - 1e-12 <= result[name] <= high + 1e-12, name


def test_a_score_computed_by_hand():
    # Two bins. [0, .5): .2 wrong, .4 right: gap .2. [.5, 1]: .6, .8 right, 1.0 wrong: gap 2/15.
    result = figures_of([0.2, 0.4, 0.6, 0.8, 1.0], [0, 1, 1, 1, 0], bins=2)
    assert result["ece"] == pytest.approx(2 / 5 * 0.2 + 3 / 5 * 2 / 15)
    # Errors at ranks 1 and 5: prefixes 1/1, 1/2, 1/3, 1/4, 2/5.
    assert result["aurc"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 2 / 5) / 5)
    # Best: the two errors last, prefixes 0, 0, 0, 1/4, 2/5.
    assert result["excess_aurc"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 5)


def test_equal_confidences_have_no_order():
    # One right and one wrong at .5: first either way with probability a half, so (½ + ½)/2.
    assert figures_of([0.5, 0.5], [0, 1])["aurc"] == pytest.approx(0.5)


def test_0_and_1_are_in_the_first_and_last_bin():
    assert width_bins(np.array([0.0, 1.0, np.nextafter(1.0, 0.0)])).tolist() == [0, 14, 14]
    assert mass_bins(np.array([0.0, 0.5, 1.0]), 3).tolist() == [0, 1, 2]
    sure = figures_of([1.0, 1.0, 0.0], [1, 1, 0])
    assert [sure[name] for name in ("ece", "ece_mass", "smooth_ece", "brier", "nll", "excess_aurc")] == [
        0,
        0,
        0,
        0,
        0,
        0,
    ]
    wrong = figures_of([1.0, 0.0], [0, 1])
    assert wrong["ece"] == wrong["ece_mass"] == wrong["brier"] == 1.0 and wrong["nll"] == np.inf
    # 1.0 (wrong) lies with .95 (right) in the last bin: |1.95 − 1|/2.
    assert figures_of([1.0, 0.95], [0, 1])["ece"] == pytest.approx(0.475)


def test_equal_confidences_share_a_bin_of_equal_mass():
    c = np.array([0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.0])
    assert mass_bins(c, 4).tolist() == [0, 2, 2, 2, 2, 2, 2, 3]
    assert len(set(mass_bins(np.full(10, 0.3), 4))) == 1
    assert np.bincount(mass_bins(np.random.default_rng(0).random(1000), 15)).tolist().count(67) >= 10


def test_a_bin_of_one_item_is_left_out_of_the_debiased_error():
    # Two bins of equal mass over three items: {.1, .2} and {.9}; the latter alone cannot be debiased.
    result = figures_of([0.1, 0.2, 0.9], [0, 0, 0], bins=2)
    assert mass_bins(np.array([0.1, 0.2, 0.9]), 2).tolist() == [0, 1, 1]
    assert result["debiased_squared"] == pytest.approx((0.2 + 0.9) ** 2 / 4)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_debiased_error_is_0_on_average_and_the_others_are_not(seed):
    generator = np.random.default_rng(seed)
    c = generator.beta(2, 1, 300)
    items = Items.ordered(c, c, None, 15)
    result = measure(items, np.ones((1, 300)), (generator.random((4000, 300)) < items.confidence).astype(float))
    squared = result["debiased_squared"]
    assert abs(squared.mean()) < 3 * squared.std() / np.sqrt(4000)
    assert min(result[name].mean() for name in ("ece", "ece_mass", "smooth_ece", "reliability")) > 1e-3


def test_the_debiased_error_estimates_a_known_error():
    generator = np.random.default_rng(0)
    c = np.repeat(np.linspace(0.2, 0.9, 10), 30)
    items = Items.ordered(c, c, None, 10)
    outcomes = (generator.random((4000, 300)) < items.confidence - 0.1).astype(float)
    squared = measure(items, np.ones((1, 300)), outcomes)["debiased_squared"]
    assert squared.mean() == pytest.approx(0.01, abs=3 * squared.std() / np.sqrt(4000))


def test_counts_of_a_resample_equal_repeated_items():
    c, y = calibrated(50)
    counts = np.random.default_rng(1).integers(0, 4, 50)
    items = Items.ordered(c, y.astype(float), None, 50)  # a bin an item or nearly: those of equal mass do not move
    weighted = measure(items, counts[np.argsort(c)][None, :].astype(float), items.correct[None, :])
    repeated = figures_of(np.repeat(c, counts), np.repeat(y, counts), bins=50)
    same = set(ENDS) - {"ece_mass", "debiased_squared", "debiased"}
    for name in same:
        assert weighted[name][0] == pytest.approx(repeated[name], abs=1e-12), name


def test_clusters_of_each_clustering_are_numbered():
    assert as_clusters(["b", "a", "b"], 3).tolist() == [[0], [1], [0]]
    assert as_clusters([("x", 1), ("x", 2), ("x", 1)], 3).tolist() == [[0], [1], [0]]
    assert as_clusters(np.array([[5, 1], [5, 2], [7, 1]]), 3).tolist() == [[0, 0], [0, 1], [1, 0]]
    report = calibration_report([0.5, 0.6, 0.7], [1, 0, 1], groups=[1, 1, 2], bootstrap=5, null=5, seed=0)
    assert report.clusters == (2,) and report.items == 3


def test_tiny_variances_of_two_clusterings_have_degrees_of_freedom() -> None:
    draws = np.array([0.0, 1e-90, 2e-90, 1e-90])
    ways = [(10, draws), (20, draws * 0.5), (40, draws * 0.5)]
    low, high = interval(1e-90, (0.0, 1.0), ways, 0.95)
    assert low is not None and high is not None and 0 <= low <= 1e-90 <= high < 1e-80
