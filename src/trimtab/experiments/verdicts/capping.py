"""The metrics of episodes as they are compared: those of diverged runs are capped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trimtab.config import WorkError
from trimtab.evidence import cap
from trimtab.experiments.reading import EpisodeResult
from trimtab.experiments.spec import Experiment
from trimtab.records.metrics import Metric


@dataclass(frozen=True)
class CappedValues:
    """A metric of some episodes.

    `capped` counts the values that were replaced by the untrained model's or by the `worst`, `unfounded` those replaced by the
    worst.
    """

    values: np.ndarray
    capped: int
    unfounded: int


def metric_named(experiment: Experiment, name: str) -> Metric:
    """A metric of the experiment's episodes; the direction of the claimed one is the claim's."""
    metric = experiment.metrics.find(name) or Metric(name, higher_is_better=True)
    claim = experiment.claim
    return replace(metric, higher_is_better=claim.higher_is_better) if name == claim.metric else metric


def worst_of(episodes: Sequence[EpisodeResult], metric: Metric) -> float | None:
    """The worst finite value of a metric in any of the episodes."""
    finite = [value for episode in episodes if math.isfinite(value := episode.figures.get(metric.name, math.nan))]
    return (min(finite) if metric.higher_is_better else max(finite)) if finite else None


def capped_values(episodes: Sequence[EpisodeResult], metric: Metric, *, worst: float | None) -> CappedValues:
    """The metric of some episodes, with that of diverged runs capped.

    The value of a run that diverged or is not finite is replaced by the untrained model's, unless its own is better. For a
    metric that is not computed for the untrained model (those of instruments and of stability), a finite value is kept and any
    other is replaced by `worst`, the worst value that was measured. That is too good for such a run, so nothing may be concluded
    in its favour. Raises `WorkError` for a metric that an episode does not have, and where there is nothing to replace a value
    by.
    """
    missing = [episode for episode in episodes if metric.name not in episode.figures and episode.status != "diverged"]
    if missing:
        known = ", ".join(
            sorted(n for n in missing[0].figures if n.startswith(("val_", "stability", "best", "task_eval.")))
        )
        raise WorkError(
            f"The episode {missing[0].arm}, seed {missing[0].seed} has no figure '{metric.name}' to compare. It has {known}."
        )
    values = np.array([episode.figures.get(metric.name, math.nan) for episode in episodes])
    untrained = np.array([metric.untrained(episode.figures) for episode in episodes])
    diverged = np.array([episode.status == "diverged" for episode in episodes], dtype=np.bool_)
    known_floor, finite = np.isfinite(untrained), np.isfinite(values)
    flags = ~finite | (diverged & known_floor)
    unfounded = flags & ~known_floor
    if unfounded.any() and worst is None:
        lost = episodes[int(np.flatnonzero(unfounded)[0])]
        raise WorkError(
            f"'{metric.name}' is not finite in {lost.arm}, seed {lost.seed}, and no run has a value to cap it at."
        )
    floor = np.where(known_floor, untrained, math.nan if worst is None else worst)
    capped = cap(values, flags, floor, higher_is_better=metric.higher_is_better)
    return CappedValues(capped.values, capped.count, int(unfounded.sum()))


def better_untrained(episodes: Sequence[EpisodeResult], metric: Metric) -> dict[str, int]:
    """By arm, how many diverged runs have an untrained model that scores better than the median of the runs that did not.

    So it is with calibration: a model that knows nothing, and is sure of nothing, has no error of confidence.
    """
    sound = [episode.figures.get(metric.name, math.nan) for episode in episodes if episode.status != "diverged"]
    known = [value for value in sound if math.isfinite(value)]
    if not known:
        return {}
    middle, sign = float(np.median(known)), 1 if metric.higher_is_better else -1
    better = [
        episode.arm
        for episode in episodes
        if episode.status == "diverged" and sign * (metric.untrained(episode.figures) - middle) > 0
    ]
    return {arm: better.count(arm) for arm in better}
