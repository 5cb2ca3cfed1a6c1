"""The metrics of searches."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.parts import metric_of
from trimtab.records.metrics import Metric, Metrics


def metrics_of(config: SearchConfig) -> Metrics:
    """The metrics that every search of this config has. `found` is what the search saw, `confirmed` what fresh seeds gave."""
    metric = replace(metric_of(config), cap=None, often_zero=False, evaluated=False)
    name, unit = metric.name, metric.unit
    confirmed = (
        replace(metric, name=f"confirmed.{name}", label=f"confirmed {name}"),
        *([Metric("confirmed.sd", False, unit, label="confirmed, SD")] if config.confirm.seeds > 1 else []),
        replace(metric, name="confirmed.worst", label="confirmed, worst"),
        Metric("confirmed.diverged", False, "runs", often_zero=True),
        Metric("optimism", False, unit),
    )
    return Metrics(
        always=(
            *(confirmed if config.confirm.seeds else ()),
            replace(metric, name="found", label=f"found {name}"),
            replace(metric, name="anytime", label=f"mean best {name} so far"),
            Metric("diverged", False, "runs", often_zero=True),
            Metric("steps", False, "steps"),
            Metric("tokens", False, "tokens"),
            Metric("decision_seconds", False, "seconds"),
        ),
        explored=(f"confirmed.{name}", "found", "optimism", "confirmed.sd", "confirmed.worst", "anytime", "diverged"),
    )


def headline(metrics: Mapping[str, Any]) -> str | None:
    """The confirmed value and the found one; None before the search has ended."""
    found, metric = metrics.get("found"), metrics.get("metric")
    if found is None or metric is None:
        return None
    confirmed = metrics.get("confirmed", {}).get(metric)
    if confirmed is None or not math.isfinite(float(confirmed)):
        return f"found {metric} {float(found):.4f}"
    return f"{metric} {float(confirmed):.4f} on fresh seeds, {float(found):.4f} in the search"
