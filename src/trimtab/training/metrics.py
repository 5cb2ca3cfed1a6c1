"""The metrics of training runs."""

from collections.abc import Mapping
from typing import Any

from trimtab.config import REGISTRIES
from trimtab.records.metrics import Metric, Metrics
from trimtab.training.config import RunConfig

_NATS = "nats per token"

_EVERY = (
    Metric("val_loss", False, _NATS, cap="untrained_loss"),
    Metric("val_accuracy", True),
    Metric("val_calibration_error", False),
    Metric("best_val_loss", False, _NATS, cap="untrained_loss"),
    Metric("best_step", True, "steps"),
    Metric("train_loss", False),
    Metric("tokens", True, "tokens"),
    *(
        Metric(f"stability.{name}", False, unit, often_zero=True)
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
    """The metrics that every run of a config has. Those that only some tasks have are among them."""
    return Metrics(
        always=(*_EVERY, *_task_eval_metrics(config)),
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


def headline(metrics: Mapping[str, Any]) -> str | None:
    """The validation loss; None before the first evaluation."""
    loss = metrics.get("val_loss")
    return None if loss is None else f"validation loss {float(loss):.4f}"


def _task_eval_metrics(config: RunConfig) -> list[Metric]:
    if config.data.task is None or not config.episode.task_eval.problems:
        return []
    task = REGISTRIES["task"].load(config.data.task.name)
    own = getattr(task, "figures", ())
    own = own if isinstance(own, tuple) else ("exact_match",)
    sampled = ("agreement",) if config.episode.task_eval.samples else ()
    return [
        *(Metric(f"task_eval.{name}", True) for name in own),
        Metric("task_eval.answer_loss", False, "nats per answer"),
        Metric("task_eval.confidence", True),
        *(Metric(f"task_eval.calibration.{name}.value", False) for name in _CALIBRATION),
        *(Metric(f"task_eval.truth.{name}.value", False) for name in _TRUTH),
        *(Metric(f"task_eval.{name}", True) for name in sampled),
    ]
