import numpy as np
import pytest

from tests.evaluation.calibration.samples import distributions
from trimtab.evaluation.calibration import calibration_report, distribution_report, multiclass_report
from trimtab.evaluation.calibration.binning import width_bins


def test_the_multiclass_figures_equal_their_formulas():
    p, y = distributions(300, 4)
    report = multiclass_report(p, y, bootstrap=0, null=0, seed=0)
    hot = np.eye(4)[y]
    assert report.brier.value == pytest.approx(((p - hot) ** 2).sum(axis=1).mean())
    assert report.nll.value == pytest.approx(-np.log(p[np.arange(300), y]).mean())
    each = []
    for k in range(4):
        index = width_bins(p[:, k])
        gaps = [np.abs((p[index == b, k] - hot[index == b, k]).sum()) for b in range(15)]
        each.append(sum(gaps) / 300)
    assert report.classwise_ece.value == pytest.approx(np.mean(each))
    parts = report.reliability.value - report.resolution.value + report.uncertainty.value + report.within_bins.value
    assert report.brier.value == pytest.approx(parts)
    shares = hot.mean(axis=0)
    assert report.uncertainty.value == pytest.approx((shares * (1 - shares)).sum())
    top = calibration_report(p.max(axis=1), p.argmax(axis=1) == y, bootstrap=0, null=0, seed=0)
    assert report.top.as_dict() == top.as_dict() and report.classes == 4


def test_two_classes_agree_with_the_binary_report():
    generator = np.random.default_rng(0)
    c = generator.random(200)
    y = generator.random(200) < c
    both = multiclass_report(np.stack([1 - c, c], axis=1), y.astype(int), bootstrap=500, null=50, seed=0)
    one = calibration_report(c, y, bootstrap=500, null=50, seed=0)
    assert both.brier.value == pytest.approx(2 * one.brier.value)
    assert both.nll.value == pytest.approx(one.nll.value)
    ends = (one.nll.low, one.nll.high)  # of other resamples: one report orders its items, the other need not
    assert (both.nll.low, both.nll.high) == pytest.approx(ends, abs=0.03)


def test_floor_and_interval_agree_with_fresh_samples():
    p, y = distributions(200, 5)
    report = multiclass_report(p, y, bootstrap=400, null=1000, seed=0)
    others = []
    for seed in range(200):
        labels = (np.random.default_rng(seed).random((200, 1)) > p.cumsum(axis=1)).sum(axis=1)
        others.append(multiclass_report(p, labels, bootstrap=0, null=0, seed=0))
    for name in ("classwise_ece", "brier", "nll", "reliability", "resolution"):
        scores, own = np.array([getattr(other, name).value for other in others]), getattr(report, name)
        assert own.null_floor == pytest.approx(scores.mean(), abs=4 * scores.std() / np.sqrt(200)), name
        assert own.low < own.value < own.high, name
    assert report.top.ece.null_floor is not None


def test_overconfidence_lifts_the_classwise_error_above_its_floor():
    p, y = distributions(1000, 4)
    sharpened = p**2 / (p**2).sum(axis=1, keepdims=True)
    report = multiclass_report(sharpened, y, bootstrap=200, null=200, seed=0)
    assert report.classwise_ece.low > report.classwise_ece.null_high
    assert report.nll.low > report.nll.null_high


def test_a_label_of_probability_0_gives_infinite_nll_and_is_never_simulated():
    p = np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    report = multiclass_report(p, [0, 1], bootstrap=20, null=500, seed=0)
    assert report.nll.value == np.inf and report.nll.null_floor == pytest.approx(np.log(2) / 2)
    assert report.top.accuracy.value == 0.0  # the first of equals


def test_clusters_widen_multiclass_intervals():
    p, y = np.repeat(distributions(40, 3)[0], 10, axis=0), np.repeat(distributions(40, 3)[1], 10)
    groups = np.repeat(np.arange(40), 10)
    alone = multiclass_report(p, y, null=0, bootstrap=300, seed=0).brier
    together = multiclass_report(p, y, null=0, bootstrap=300, groups=groups, seed=0).brier
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(10), rel=0.25)


@pytest.mark.parametrize(
    ("p", "y", "words"),
    [
        ([0.5, 0.5], [0], "one row per item and one column per class"),
        ([[0.5, 0.4]], [0], "those of item 0 sum to 0.9"),
        ([[1.5, -0.5]], [0], "should lie in \\[0, 1\\]; that of item 0 is 1.5"),
        ([[np.nan, 1.0]], [0], "that of item 0 is nan"),
        ([[0.5, 0.5], [1.0]], [0], "numbers in equal rows"),
        ([[0.5, 0.5]], [2], "labels should lie between 0 and 1; that of item 0 is 2"),
        ([[0.5, 0.5]], [0.0], "labels should be 1 whole numbers"),
        ([[0.5, 0.5]], [0, 1], "labels should be 1 whole numbers"),
        (np.empty((0, 2)), [], "shape is \\(0, 2\\)"),
    ],
)
def test_unusable_input_is_refused(p, y, words):
    with pytest.raises(ValueError, match=words):
        multiclass_report(p, y, seed=0)


# --- against the exact distribution ----------------------------------------------------------------------------------


def test_distances_to_the_truth_equal_their_formulas():
    p, t = distributions(100, 3, 0)[0], distributions(100, 3, 1)[0]
    report = distribution_report(p, t, bootstrap=100, seed=0)
    assert report.kl.value == pytest.approx((t * np.log(t / p)).sum(axis=1).mean())
    assert report.total_variation.value == pytest.approx(np.abs(p - t).sum(axis=1).mean() / 2)
    c, q = p.max(axis=1), t[np.arange(100), p.argmax(axis=1)]
    assert report.confidence_bias.value == pytest.approx((c - q).mean())
    assert report.confidence_error.value == pytest.approx(np.abs(c - q).mean())
    assert report.expected_accuracy.value == pytest.approx(q.mean())
    index = width_bins(c)
    gaps = [np.abs((c[index == b] - q[index == b]).sum()) for b in range(15)]
    assert report.ece_to_truth.value == pytest.approx(sum(gaps) / 100)
    assert report.kl.low < report.kl.value < report.kl.high
    assert report.as_dict()["kl"]["null_floor"] == 0.0 and report.as_dict()["items"] == 100


def test_the_truth_scores_exactly_0():
    p = distributions(30, 4)[0]
    p[0] = [1, 0, 0, 0]
    report = distribution_report(p, p, bootstrap=20, seed=0)
    for name in ("kl", "total_variation", "ece_to_truth", "confidence_error", "confidence_bias"):
        assert getattr(report, name).value == getattr(report, name).high == 0.0, name


def test_a_possible_answer_of_probability_0_gives_infinite_kl():
    report = distribution_report([[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]], bootstrap=200, seed=0)
    assert report.kl.value == np.inf and report.kl.high == np.inf
    assert report.kl.low == pytest.approx(np.log(2))  # a quarter of the resamples leave the first item out
    assert report.confidence_bias.value == pytest.approx(0.0)


def test_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match="truth should have the shape of probabilities"):
        distribution_report([[0.5, 0.5]], [[0.5, 0.25, 0.25]], seed=0)
