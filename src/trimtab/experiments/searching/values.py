"""The value of a run for its search."""

import math
from dataclasses import dataclass

from trimtab.config import RunError
from trimtab.experiments.reading import figures_of
from trimtab.records import RunDirectory, Summary
from trimtab.records.metrics import Metric


@dataclass(frozen=True)
class Outcome:
    """How some work ended: its value in the metric's unit, NaN where there is none, and its cost.

    `run_tokens` are the tokens that the run has read so far, those before this work included.
    """

    status: str
    value: float
    steps: int
    tokens: int
    run_tokens: int
    weights_sha256: str | None


def value_of(summary: Summary, metric: Metric) -> float:
    """The metric of a run; that of the untrained model where the run diverged or its own is not finite; NaN without either."""
    figures = figures_of(summary)
    own = figures.get(metric.name, math.nan)
    if summary.status != "diverged" and math.isfinite(own):
        return own
    untrained = metric.untrained(figures)
    return untrained if math.isfinite(untrained) else math.nan


def ended_run(run: RunDirectory, until: int | None) -> Summary:
    """The summary of a run that has ended, or paused after the step `until`. Raises `RunError` for any other."""
    summary = run.summary()
    beyond = summary is not None and until is not None and summary.status == "completed"
    if summary is None or beyond or (summary.status == "interrupted" and summary.steps != until):
        at = "has not ended" if summary is None else f"is at step {summary.steps}"
        wanted = "its end" if until is None else f"step {until}"
        raise RunError(
            f"The run in {run.path} {at}, but its search needs it at {wanted}. The search's events.jsonl and its runs do not "
            "belong together. Restore both from one copy, or start a new search."
        )
    return summary
