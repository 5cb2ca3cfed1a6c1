import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from trimtab.evaluation.calibration import best_temperature, fit_temperature
from trimtab.evaluation.calibration.temperature import COLDEST, HOTTEST


def sampled(n, temperature, seed=0, classes=5):
    """Logits whose softmax at `temperature` the labels are drawn from."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, classes)) * 3
    gumbel = generator.gumbel(size=(n, classes))
    return logits, (logits / temperature + gumbel).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_fit_recovers_the_temperature_of_the_labels(temperature):
    logits, labels = sampled(8000, temperature)
    fit = fit_temperature(logits, labels, seed=0)
    assert fit.temperature == pytest.approx(temperature, rel=0.08) and not fit.at_bound
    assert fit.fitted_on == fit.judged_on == 4000
    if temperature != 1.0:
        assert fit.nll_after < fit.nll_before - 0.01 and fit.ece_after < fit.ece_before - 0.03
    assert fit.as_dict()["nll_after"] == fit.nll_after


def test_the_fit_equals_that_of_a_general_minimiser():
    logits, labels = sampled(400, 2.0)

    def nll(temperature):
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(400), labels]).mean())

    expected = minimize_scalar(nll, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9}).x
    assert best_temperature(logits, labels)[0] == pytest.approx(expected, rel=1e-5)
    shifted = logits + np.random.default_rng(1).normal(size=(400, 1)) * 500  # softmax does not see it
    assert best_temperature(shifted, labels)[0] == pytest.approx(expected, rel=1e-5)


def test_before_and_after_are_measured_on_held_out_items():
    logits, labels = sampled(60, 1.0)
    fit = fit_temperature(logits, labels, share=0.25, seed=5)
    held = np.isin(np.arange(60), np.random.default_rng(5).permutation(60)[:15])
    assert fit.temperature == best_temperature(logits[held], labels[held])[0]
    rest = logits[~held]
    expected = np.log(np.exp(rest).sum(axis=1)) - rest[np.arange(45), labels[~held]]
    assert fit.nll_before == pytest.approx(expected.mean())
    assert (fit.fitted_on, fit.judged_on) == (15, 45)


def test_clusters_are_never_split():
    logits, labels = sampled(40, 1.0)
    copies = fit_temperature(np.tile(logits, (3, 1)), np.tile(labels, 3), groups=list(range(40)) * 3, seed=0)
    single = fit_temperature(logits, labels, seed=0)
    assert copies.temperature == pytest.approx(single.temperature)
    assert copies.nll_after == pytest.approx(single.nll_after) and copies.judged_on == 3 * single.judged_on


def test_a_fit_without_a_best_temperature_reports_its_bound():
    logits = np.eye(3)[[0, 1, 2, 0]]
    assert best_temperature(logits, np.array([0, 1, 2, 0])) == (COLDEST, True)
    assert best_temperature(logits, np.array([1, 2, 0, 1])) == (HOTTEST, True)
    assert best_temperature(np.zeros((2, 3)), np.array([0, 1])) == (1.0, False)


@pytest.mark.parametrize(
    ("logits", "labels", "changes", "words"),
    [
        ([1.0, 2.0], [0], {}, "one row per item and one column per class"),
        ([[1.0, np.inf], [1.0, 0.0]], [0, 0], {}, "item 0 has NaN or"),
        ([[1.0, 0.0], [1.0, -np.inf]], [0, 1], {}, "Item 1 is labelled with a class that it does not have"),
        ([[1.0, 2.0]], [0], {}, "two items are needed"),
        ([[1.0, 2.0]] * 2, [0, 2], {}, "labels should lie between 0 and 1"),
        ([[1.0, 2.0]] * 2, [0, 1], {"groups": [1, 1]}, "two clusters if `groups` is given"),
        ([[1.0, 2.0]] * 2, [0, 1], {"groups": np.eye(2)}, "exactly one cluster to each item"),
        ([[1.0, 2.0]] * 2, [0, 1], {"share": 1.0}, "share should lie between 0 and 1"),
    ],
)
def test_unusable_input_is_refused(logits, labels, changes, words):
    with pytest.raises(ValueError, match=words):
        fit_temperature(logits, labels, seed=0, **changes)


def test_a_class_that_no_item_has_changes_nothing():
    generator = np.random.default_rng(3)
    logits, labels = generator.normal(size=(200, 3)), generator.integers(0, 3, 200)
    wide = np.concatenate([logits, np.full((200, 2), -np.inf)], axis=1)
    assert fit_temperature(wide, labels, seed=0) == fit_temperature(logits, labels, seed=0)
