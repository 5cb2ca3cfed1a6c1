"""The figures that episodes will have, so that a claim on another one is refused before anything is run."""

import difflib

from trimtab.boundary import listed
from trimtab.config import REGISTRIES, ConfigError, RunConfig, canonical_json
from trimtab.experiments.spec import Experiment

FIGURES = (
    "val_loss",
    "val_accuracy",
    "val_calibration_error",
    "best_val_loss",
    "best_step",
    "train_loss",
    "tokens",
    *(
        f"stability.{name}"
        for name in (
            "skipped_steps",
            "flagged_steps",
            "unstable_steps",
            "largest_loss_rise",
            "largest_grad_norm",
            "loss_volatility",
            "rewinds",
        )
    ),
)
"""Figures of every episode's summary that a claim may name."""


EXAM_FIGURES = (
    "answer_loss",
    "confidence",
    *(f"calibration.{name}.value" for name in ("ece", "ece_mass", "debiased", "smooth_ece", "brier", "nll", "aurc")),
)
"""Figures of every task's exam (`exam.NAME`)."""

TRUTH_FIGURES = tuple(
    f"truth.{name}.value" for name in ("kl", "total_variation", "ece_to_truth", "confidence_error", "confidence_bias")
)
"""Figures of the exam of a task that knows the exact distribution of its answers."""


_OFTEN_ZERO = "stability."
"""Figures that count what a sound run has none of: their logarithms are rarely known."""


def check_figures(experiment: Experiment, at: str) -> None:
    """Refuse a claim, or a derived metric, on a figure that some arm's episodes will not have. Raises `ConfigError`."""
    derived, metric = experiment.derived, experiment.claim.metric
    if derived is not None:
        if derived.over not in experiment.factors or len(experiment.factors) != 1:
            raise ConfigError(f"{at}derived.over: '{derived.over}' must be the experiment's one factor.")
        _check(experiment, derived.metric, f"{at}derived.metric")
    if metric == "sensitivity":
        if derived is None:
            raise ConfigError(f"{at}claim.metric: 'sensitivity' is derived; say over which factor under 'derived'.")
        return
    _check(experiment, metric, f"{at}claim.metric")
    if experiment.claim.scale == "log" and metric.startswith(_OFTEN_ZERO):
        raise ConfigError(f"{at}claim.scale: '{metric}' is often 0, which has no logarithm. Use plain or trimmed.")


def _check(experiment: Experiment, metric: str, where: str) -> None:
    tried: set[str] = set()
    for arm in experiment.arms:
        for cell in experiment.cells:
            config = experiment.config(arm, experiment.seed_list[0], cell)
            deciding = {"data": {"task"}, "episode": {"exam"}, "monitor": {"instruments"}}
            parts = canonical_json(config.model_dump(mode="json", include=deciding))
            if parts not in tried:
                tried.add(parts)
                _check_arm(arm, config, metric, where)


def _check_arm(arm: str, config: RunConfig, metric: str, where: str) -> None:
    instruments = [f"instruments.{instrument.name}." for instrument in config.monitor.instruments]
    known = [*FIGURES, *_exam_figures(config)]
    if metric in known or any(metric.startswith(prefix) and metric != prefix for prefix in instruments):
        return
    near = difflib.get_close_matches(metric, known, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(
        f"{where}: no episode of the arm '{arm}' has a figure '{metric}'.{hint} They are {listed(known, 60)}, and "
        "instruments.NAME.FIELD of those that monitor.instruments names."
    )


def _exam_figures(config: RunConfig) -> list[str]:
    """The figures of the exam that the config's task will hold; those that only some tasks have are let through."""
    if config.data.task is None or not config.episode.exam.problems:
        return []
    task = REGISTRIES["task"].load(config.data.task.name)
    own = getattr(task, "figures", ())
    own = own if isinstance(own, tuple) else ("exact_match",)
    sampled = ["agreement"] if config.episode.exam.samples else []
    return [f"exam.{name}" for name in (*own, *EXAM_FIGURES, *TRUTH_FIGURES, *sampled)]
