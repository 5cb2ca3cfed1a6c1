"""The records of an experiment's episodes, and their series; those of a fork begin with the steps of its parent."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float

from trimtab.errors import RunError
from trimtab.records.manifest import Manifest, Summary
from trimtab.records.metrics import Metric
from trimtab.records.run_directory import RunDirectory
from trimtab.records.values import flatten, is_number
from trimtab.reports.series import Series, column, final_passage

Row = dict[str, Any]
COLUMNS = ("train_loss", "loss_ema", "loss_volatility", "grad_norm", "lr")


@dataclass(frozen=True)
class Span:
    """The steps `first` to `last` of one regime, or of one set of injected faults."""

    first: int
    last: int
    name: str


@dataclass(frozen=True)
class Trace:
    """A run's records over its steps.

    `series` are the columns of `steps.jsonl` in the last passage over each step; `validation` is that passage's validation
    loss, and `objective` its validation value of the loss trained on, where that is not the cross-entropy. `spent` has a row
    per step that was run, in every passage: the tokens and seconds so far (the parent's included) and the smoothed training
    loss. `evaluated` has the same per evaluation, with the validation loss. `own_*` count what the run did after its fork.
    """

    series: dict[str, Series]
    validation: Series
    objective: Series
    regimes: tuple[Span, ...]
    faults: tuple[Span, ...]
    events: tuple[Row, ...]
    spent: Float[np.ndarray, "steps 3"]
    evaluated: Float[np.ndarray, "evaluations 3"]
    own_steps: int
    own_tokens: float
    own_seconds: float


@dataclass(frozen=True)
class EpisodeRecords:
    """The records of one episode: an arm, a seed and the factors' values (`cell`).

    With `same` the arm's controller never acted, and `run` is the baseline's.
    """

    arm: str
    seed: int
    cell: tuple[Any, ...]
    name: str
    status: str
    same: bool = False
    run: RunDirectory | None = None
    manifest: Manifest | None = None
    summary: Summary | None = None
    parent: "EpisodeRecords | None" = None

    @property
    def finished(self) -> bool:
        """Whether it has ended for good."""
        return self.summary is not None and self.summary.status != "interrupted"

    @property
    def trained_on(self) -> Any:
        """The loss component that was trained on; None for the plain cross-entropy, and where it is not known."""
        episode = (self.manifest.config if self.manifest is not None else {}).get("episode", {})
        loss = episode.get("loss")
        return None if loss == {"name": "cross_entropy"} else loss

    @cached_property
    def figures(self) -> dict[str, float]:
        """The metrics of its summary by dotted name; empty before it has ended."""
        metrics = self.summary.metrics if self.summary is not None else {}
        return {name: float(value) for name, value in flatten(metrics) if is_number(value)}

    def value(self, metric: Metric) -> float:
        """A metric, NaN where it is missing; a diverged run counts as the untrained model where its own value is not better."""
        own = self.figures.get(metric.name, math.nan)
        untrained = metric.untrained(self.figures)
        if math.isnan(untrained) or (math.isfinite(own) and self.status != "diverged"):
            return own
        return own if math.isfinite(own) and metric.better(own, untrained) else untrained

    @cached_property
    def trace(self) -> Trace | None:
        """Its series, None for an episode that has not started. Raises `RunError` for damaged rows."""
        return None if self.run is None else _trace(self.run, self.manifest, self.parent)


def _trace(run: RunDirectory, manifest: Manifest | None, parent: EpisodeRecords | None) -> Trace:
    rows, evaluations = run.steps(), run.evaluations()
    before: list[Row] = []
    evaluations_before: list[Row] = []
    if manifest is not None and manifest.parent is not None and parent is not None and parent.run is not None:
        before = _until(parent.run.steps(), manifest.parent.step)
        evaluations_before = [row for row in parent.run.evaluations() if row["step"] <= manifest.parent.step]
    kept = final_passage([*before, *rows])
    spent = _spent([*before, *rows])
    base = float(before[-1].get("tokens", 0)) if before else 0.0
    return Trace(
        series={name: column(kept, name) for name in COLUMNS},
        validation=column(final_passage([*evaluations_before, *evaluations]), "val_loss"),
        objective=column(final_passage([*evaluations_before, *evaluations]), "val_objective"),
        regimes=tuple(_spans((row["step"], row.get("regime")) for row in kept)),
        faults=tuple(_spans((row["step"], ", ".join(row.get("faults", ()))) for row in kept)),
        events=tuple(run.events()),
        spent=_array([(tokens, seconds, loss) for _, tokens, seconds, loss in spent]),
        evaluated=_evaluated([*evaluations_before, *evaluations], spent),
        own_steps=len(rows),
        own_tokens=max((float(row.get("tokens", 0)) for row in rows), default=base) - base,
        own_seconds=sum(float(row.get("seconds", 0.0)) for row in rows),
    )


def _until(rows: list[Row], step: int) -> list[Row]:
    """The rows up to the last passage over `step`, whose state a fork began with."""
    last = max((index for index, row in enumerate(rows) if row["step"] == step), default=-1)
    return rows[: last + 1]


def _spent(rows: list[Row]) -> list[tuple[tuple[int, int], float, float, float]]:
    """For every row: (attempt, step), tokens and seconds so far, and the smoothed loss."""
    seconds, totals = 0.0, []
    for row in rows:
        seconds += float(row.get("seconds", 0.0))
        place = (row.get("attempt", 0), row["step"])
        totals.append((place, float(row.get("tokens", np.nan)), seconds, float(row.get("loss_ema", np.nan))))
    return totals


def _evaluated(
    evaluations: list[Row], spent: list[tuple[tuple[int, int], float, float, float]]
) -> Float[np.ndarray, "n 3"]:
    at = {place: (tokens, seconds) for place, tokens, seconds, _ in spent}
    points = []
    for row in evaluations:
        place = (row.get("attempt", 0), row["step"])
        if place in at and is_number(row.get("val_loss")):
            points.append((*at[place], float(row["val_loss"])))
    return _array(points)


def _array(rows: list[tuple[float, float, float]]) -> Float[np.ndarray, "n 3"]:
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _spans(steps: Iterable[tuple[int, str | None]]) -> Iterator[Span]:
    """Stretches of steps under one name; steps without a name are in none, and a gap in the steps ends a stretch."""
    named = [(step, name) for step, name in steps if name]
    for _, group in groupby(enumerate(named), key=lambda item: (item[1][1], item[1][0] - item[0])):
        pairs = [pair for _, pair in group]
        yield Span(pairs[0][0], pairs[-1][0], pairs[0][1])


def opened(path: RunDirectory) -> tuple[Manifest | None, Summary | None]:
    """A run's manifest and summary, None if it has not started or not ended. Raises `RunError` for damaged ones."""
    if not path.exists():
        if path.path.exists() and not path.path.is_dir():
            raise RunError(f"{path.path} is a file, where the folder of an episode belongs. Restore it from a copy.")
        return None, None
    return path.manifest(), path.summary()
