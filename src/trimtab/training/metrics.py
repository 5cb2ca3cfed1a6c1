"""The metrics of training runs."""

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
    Metric("train_loss", False, _NATS, cap="untrained_loss"),
    Metric("tokens", True, "tokens"),
    *(
        Metric(f"stability.{name}", False, unit, often_zero=True)
        for name, unit in (
            ("skipped_steps", "steps"),
            ("flagged_steps", "steps"),
            ("unstable_steps", "steps"),
            ("largest_loss_rise", "nats"),
            ("largest_grad_norm", ""),
            ("loss_volatility", "nats"),
            ("rewinds", ""),
        )
    ),
)

_CALIBRATION = ("ece", "ece_mass", "debiased", "smooth_ece", "brier", "nll", "aurc")
_TRUTH = ("kl", "total_variation", "ece_to_truth", "confidence_error", "confidence_bias")


def metrics_of(config: RunConfig) -> Metrics:
    """The metrics that every run of a config has. Those that only some tasks have are among them."""
    return Metrics(
        always=(*_EVERY, *_exam_metrics(config)),
        prefixes={
            f"instruments.{instrument.name}.": "FIELD of an instrument" for instrument in config.monitor.instruments
        },
        explored=(
            "exam.exact_match",
            "exam.answer_loss",
            "exam.calibration.smooth_ece.value",
            "exam.truth.kl.value",
            "val_loss",
            "val_accuracy",
            "best_val_loss",
            "stability.unstable_steps",
            "stability.flagged_steps",
        ),
    )


def _exam_metrics(config: RunConfig) -> list[Metric]:
    if config.data.task is None or not config.episode.exam.problems:
        return []
    task = REGISTRIES["task"].load(config.data.task.name)
    own = getattr(task, "figures", ())
    own = own if isinstance(own, tuple) else ("exact_match",)
    sampled = ("agreement",) if config.episode.exam.samples else ()
    return [
        *(Metric(f"exam.{name}", True) for name in own),
        Metric("exam.answer_loss", False, "nats per answer"),
        Metric("exam.confidence", True),
        *(Metric(f"exam.calibration.{name}.value", False) for name in _CALIBRATION),
        *(Metric(f"exam.truth.{name}.value", False) for name in _TRUTH),
        *(Metric(f"exam.{name}", True) for name in sampled),
    ]
