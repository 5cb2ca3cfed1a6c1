"""The best evaluation so far, and the count for early stopping, by any metric."""

import math

from trimtab.config import EarlyStopping
from trimtab.records.metrics import Metric
from trimtab.training.loop.evaluated import Evaluated

LOSS, ACCURACY = Metric("val_loss", False), Metric("task_eval.exact_match", True)


def after(*losses: float, early: EarlyStopping | None = None) -> Evaluated:
    evaluated = Evaluated()
    for step, loss in enumerate(losses, 1):
        figures = {"val_loss": loss}
        evaluated = evaluated.with_gain(figures, LOSS, early).with_best(step, figures, LOSS)
    return evaluated


def test_the_best_loss_is_the_lowest() -> None:
    evaluated = after(3.0, 1.0, 2.0)
    assert (evaluated.best_value, evaluated.best_step, evaluated.without_gain) == (1.0, 2, 1)


def test_an_improvement_below_the_minimum_gain_is_the_best_but_no_gain() -> None:
    evaluated = after(3.0, 2.95, 2.9, early=EarlyStopping(minimum_gain=0.2))
    assert (evaluated.best_value, evaluated.best_step) == (2.9, 3)
    assert (evaluated.reference, evaluated.without_gain) == (3.0, 2)


def test_a_value_that_is_not_finite_is_neither_best_nor_a_gain() -> None:
    evaluated = after(math.nan, 2.0, math.inf, -math.inf)
    assert (evaluated.best_value, evaluated.reference, evaluated.without_gain) == (2.0, 2.0, 2)


def test_the_best_accuracy_is_the_highest_and_evaluations_without_it_do_not_count() -> None:
    evaluated, early = Evaluated(), EarlyStopping(minimum_gain=0.2)
    for step, value in enumerate([0.3, None, 0.9, 0.95, None, 0.2], 1):
        figures = {"val_loss": 1.0} if value is None else {"task_eval": {"exact_match": value}}
        evaluated = evaluated.with_gain(figures, ACCURACY, early).with_best(step, figures, ACCURACY)
    assert (evaluated.best_value, evaluated.best_step) == (0.95, 4)
    assert (evaluated.reference, evaluated.without_gain) == (0.9, 2)


def test_another_metric_starts_again() -> None:
    evaluated = after(3.0, 1.0, 2.0)
    figures = {"val_loss": 1.5, "task_eval": {"exact_match": 0.1}}
    evaluated = evaluated.with_gain(figures, ACCURACY, None).with_best(4, figures, ACCURACY)
    assert (evaluated.best_metric, evaluated.best_value, evaluated.best_step) == ("task_eval.exact_match", 0.1, 4)
    assert (evaluated.reference, evaluated.without_gain) == (0.1, 0)
