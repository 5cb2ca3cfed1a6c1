"""The same comparison at equal steps, equal tokens and equal seconds."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from trimtab.evidence import t_interval
from trimtab.reports.experiment.episodes import EpisodeRecords
from trimtab.reports.experiment.records import ExperimentRecords

Resource = Literal["steps", "tokens", "seconds"]
Figure = Literal["train_loss", "val_loss"]


@dataclass(frozen=True)
class Compared:
    """The mean difference (treatment − baseline) of the pairs that allow it, with its 95% t interval."""

    treatment: str
    figure: Figure
    resource: Resource
    n: int
    mean: float
    low: float
    high: float


def compared(records: ExperimentRecords) -> list[Compared]:
    """Compare every treatment with the baseline at equal steps, tokens and seconds, by both losses, as far as records go.

    Training losses are compared only within pairs that train on the same objective. The validation loss is the
    cross-entropy in every arm.
    """
    base = {(e.seed, e.cell): e for e in records.of(records.spec.baseline_arm)}
    comparisons = []
    for arm in records.spec.treatments:
        for figure in ("train_loss", "val_loss"):
            for resource in ("steps", "tokens", "seconds"):
                pairs = [(base[e.seed, e.cell], e) for e in records.of(arm) if (e.seed, e.cell) in base]
                if figure == "train_loss":
                    pairs = [(one, other) for one, other in pairs if one.trained_on == other.trained_on]
                differences = _by_seed(pairs, figure, resource, len(records.cells))
                if differences:
                    interval = t_interval(differences)
                    comparisons.append(
                        Compared(arm, figure, resource, interval.n, interval.mean, interval.low, interval.high)
                    )
    return comparisons


def _by_seed(pairs: list[tuple[EpisodeRecords, EpisodeRecords]], figure: str, resource: str, cells: int) -> list[float]:
    """One difference per seed, the mean over its cells; seeds with a cell that has no difference are left out."""
    gathered: dict[int, list[float]] = {}
    for base, treated in pairs:
        value = difference(base, treated, figure, resource)
        if value is not None:
            gathered.setdefault(treated.seed, []).append(value)
    return [float(np.mean(values)) for values in gathered.values() if len(values) == cells]


def difference(base: EpisodeRecords, treated: EpisodeRecords, figure: str, resource: str) -> float | None:
    """Treatment − baseline where both have spent the total of the cheaper of the two; None without records.

    The smoothed training loss is the one after the last step within that budget; the validation loss is interpolated
    linearly between evaluations. A diverged run counts as the untrained model, by the same loss.
    """
    if not (base.finished and treated.finished):
        return None
    if treated.same:
        return 0.0
    spent = [_spent(side, "train_loss", resource)[0] for side in (base, treated) if side.status != "diverged"]
    budget = min((float(made[-1]) for made in spent if len(made)), default=math.inf)
    values = [_at(side, figure, resource, budget) for side in (base, treated)]
    return values[1] - values[0] if all(map(math.isfinite, values)) else None


def _at(side: EpisodeRecords, figure: str, resource: str, budget: float) -> float:
    if side.status == "diverged":
        return side.figures.get("untrained_loss" if figure == "val_loss" else "untrained.train_loss", math.nan)
    spent, values = _spent(side, figure, resource)
    if not len(spent) or budget < spent[0]:
        return math.nan
    if figure == "val_loss":
        return float(np.interp(budget, spent, values))
    return float(values[np.searchsorted(spent, budget, side="right") - 1])


def _spent(side: EpisodeRecords, figure: str, resource: str) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The resource spent so far and the loss at that point, per step or evaluation (for steps: of the last passage)."""
    trace = side.trace
    if trace is None:
        return np.empty(0), np.empty(0)
    if resource == "steps":
        series = trace.series["loss_ema"] if figure == "train_loss" else trace.validation
        return series.steps.astype(np.float64), series.values
    rows = trace.spent if figure == "train_loss" else trace.evaluated
    return rows[:, 0 if resource == "tokens" else 1], rows[:, 2]
