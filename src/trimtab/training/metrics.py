"""The metrics of training runs."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trimtab.boundary import listed
from trimtab.config import REGISTRIES
from trimtab.errors import ConfigError
from trimtab.records.metrics import Metric, Metrics
from trimtab.training.config import RunConfig

_NATS = "nats per token"

_EVALUATION = (
    Metric("val_loss", False, _NATS, cap="untrained_loss", evaluated=True),
    Metric("val_accuracy", True, evaluated=True),
    Metric("val_calibration_error", False, evaluated=True),
)
_RUN = (
    Metric("best_val_loss", False, _NATS, cap="untrained_loss"),
    Metric("best_step", True, "steps"),
    Metric("train_loss", False),
    Metric("tokens", True, "tokens"),
    *(
        Metric(f"stability.{name}", False, unit, often_zero=True, label=name.replace("_", " "))
        for name, unit in (
            ("skipped_steps", "steps"),
            ("flagged_steps", "steps"),
            ("unstable_steps", "steps"),
            ("largest_loss_rise", ""),
            ("largest_grad_norm", ""),
            ("loss_volatility", ""),
            ("rewinds", ""),
        )
    ),
)

_CALIBRATION = ("ece", "ece_mass", "debiased", "smooth_ece", "brier", "nll", "aurc")
_TRUTH = ("kl", "total_variation", "ece_to_truth", "confidence_error", "confidence_bias")


def metrics_of(config: RunConfig) -> Metrics:
    """The metrics of runs of a config, those that only some tasks have included."""
    best = evaluation_metric(config, config.episode.best_metric)
    return Metrics(
        always=(
            *_evaluation_metrics(config),
            *_RUN,
            replace(best, name="best_value", cap=best.cap or f"untrained.{best.name}", evaluated=False),
            *_task_eval_metrics(config),
        ),
        prefixes={
            f"instruments.{instrument.name}.": "FIELD of an instrument" for instrument in config.monitor.instruments
        },
        explored=(
            "task_eval.exact_match",
            "task_eval.answer_loss",
            "task_eval.calibration.smooth_ece.value",
            "task_eval.truth.kl.value",
            "val_loss",
            "val_accuracy",
            "best_val_loss",
            "stability.unstable_steps",
            "stability.flagged_steps",
        ),
    )


def untrained_names(config: RunConfig) -> list[str]:
    """The metrics of an evaluation on validation windows, which a diverged run is given of its untrained model."""
    return [metric.name for metric in _evaluation_metrics(config)]


def evaluation_metric(config: RunConfig, name: str, at: str = "") -> Metric:
    """The metric `name` of the evaluations of a run, for the best checkpoint and early stopping.

    Raises `ConfigError`, beginning with `at`, where the evaluations of such a run do not measure it.
    """
    metrics = [*_evaluation_metrics(config), *_task_eval_metrics(config)]
    known = {metric.name: metric for metric in metrics if metric.evaluated}
    if (metric := known.get(name)) is not None:
        return metric
    if name in [metric.name for metric in metrics]:
        raise ConfigError(
            f"{at}'{name}' is measured once, at the end of the run. Set episode.task_eval.every to the number of steps between "
            "task evaluations."
        )
    if name in [metric.name for metric in _RUN] or name.startswith("instruments."):
        wrong = f"'{name}' is a figure of a whole run, and evaluations do not measure it."
    else:
        wrong = f"evaluations of such a run do not measure '{name}'."
    near = difflib.get_close_matches(name, known, 3)
    hint = f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
    raise ConfigError(f"{at}{wrong}{hint} They measure {listed(list(known), 60)}.")


def headline(metrics: Mapping[str, Any]) -> str | None:
    """The validation loss; None before the first evaluation."""
    loss = metrics.get("val_loss")
    return None if loss is None else f"validation loss {float(loss):.4f}"


def _evaluation_metrics(config: RunConfig) -> tuple[Metric, ...]:
    losses = REGISTRIES["loss"]
    if losses.load(config.episode.loss.name) is losses.load("cross_entropy"):
        return _EVALUATION
    return (*_EVALUATION, Metric("val_objective", False, evaluated=True))


def _task_eval_metrics(config: RunConfig) -> list[Metric]:
    task_eval = config.episode.task_eval
    if config.data.task is None or not task_eval.problems:
        return []
    task = REGISTRIES["task"].load(config.data.task.name)
    own = getattr(task, "metrics", ())
    own = own if isinstance(own, tuple) else ("exact_match",)
    sampled = ("agreement",) if task_eval.samples else ()
    metrics = (
        *(Metric(name, True) for name in own),
        Metric("answer_loss", False, "nats per answer"),
        Metric("confidence", True),
        *(Metric(f"calibration.{name}.value", False) for name in _CALIBRATION),
        *(Metric(f"truth.{name}.value", False) for name in _TRUTH),
        *(Metric(name, True) for name in sampled),
    )
    during = task_eval.every is not None
    return [replace(metric, name=f"task_eval.{metric.name}", evaluated=during) for metric in metrics]
