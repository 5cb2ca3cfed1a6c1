"""The metrics of thinking runs."""

from collections.abc import Mapping
from typing import Any

from trimtab.metacognition.recipe.config import ThinkingConfig
from trimtab.records.metrics import Metric, Metrics

BUDGETS = ("predicted", "shuffled", "prompt_length", "fixed", "none", "free", "oracle")
"""The budgets that are compared with the hull."""


def metrics_of(config: ThinkingConfig) -> Metrics:
    """The metrics that a run of this config will have."""
    del config
    compared = [
        Metric(f"{name}.{figure}", direction, unit)
        for name in BUDGETS
        for figure, direction, unit in (
            ("gain", True, ""),
            ("accuracy", True, ""),
            ("tokens", False, "tokens"),
            ("hull", True, ""),
        )
    ]
    return Metrics(
        always=(
            *compared,
            Metric("share_of_oracle", True),
            Metric("price", False),
        ),
        prefixes={
            "calibration.": "cap_N, the expected calibration error under a cap of N tokens",
            "calibrated.": "cap_N, that of the confidence after calibration, which is what is reported",
        },
        explored=("predicted.accuracy", "predicted.tokens", "shuffled.gain", "share_of_oracle"),
    )


def headline(metrics: Mapping[str, Any]) -> str | None:
    """What predicted budgets gained."""
    predicted = metrics.get("predicted")
    if predicted is None:
        return None
    return (
        f"predicted budgets: {predicted['accuracy']:.3f} right for {predicted['tokens']:.1f} thought tokens; mixtures of fixed "
        f"budgets: {predicted['hull']:.3f}"
    )
