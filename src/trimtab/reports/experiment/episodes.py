"""The episodes of an experiment with their series, a fork's after what it shares with its parent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float

from trimtab.errors import RunError
from trimtab.records.manifest import Manifest, Summary
from trimtab.records.run_directory import RunDirectory
from trimtab.records.values import flatten, is_number
from trimtab.reports.series import Series, column, final_passage

Row = dict[str, Any]
COLUMNS = ("train_loss", "loss_ema", "loss_volatility", "grad_norm", "lr")


@dataclass(frozen=True)
class Span:
    """Steps `first` to `last` under one name: a regime, or the faults that struck."""

    first: int
    last: int
    name: str


@dataclass(frozen=True)
class Trace:
    """What a run's records say over its steps.

    `series` are the columns of the last passage over each step, and `validation` that passage's evaluations, `objective` those of
    the loss that is trained on where it is not the plain cross-entropy; `spent` has one
    row a step made, in order and with every passage: tokens and seconds so far (those of the parent included) and the smoothed
    training loss; `evaluated` the same with the validation loss, a row an evaluation. `own_*` count what the run itself did
    after its fork.
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
class Episode:
    """One cell of the design: an arm, a seed and the factors' values. `run` is the baseline's where the arm never acted."""

    arm: str
    seed: int
    cell: tuple[Any, ...]
    name: str
    status: str
    same: bool = False
    run: RunDirectory | None = None
    manifest: Manifest | None = None
    summary: Summary | None = None
    parent: "Episode | None" = None

    @property
    def finished(self) -> bool:
        """Whether it has ended for good."""
        return self.summary is not None and self.summary.status != "interrupted"

    @property
    def trained_on(self) -> Any:
        """The component that was trained on, None where that is the plain cross-entropy (or not known)."""
        episode = (self.manifest.config if self.manifest is not None else {}).get("episode", {})
        loss = episode.get("loss")
        return None if loss == {"name": "cross_entropy"} else loss

    @cached_property
    def figures(self) -> dict[str, float]:
        """The numbers of its summary by dotted name; none before it ended."""
        metrics = self.summary.metrics if self.summary is not None else {}
        return {name: float(value) for name, value in flatten(metrics) if is_number(value)}

    @cached_property
    def trace(self) -> Trace | None:
        """Its series, None for an episode that has not begun. Raises `RunError` for damaged rows."""
        return None if self.run is None else _trace(self.run, self.manifest, self.parent)


def _trace(run: RunDirectory, manifest: Manifest | None, parent: Episode | None) -> Trace:
    rows, evaluations = run.steps(), run.evaluations()
    before: list[Row] = []
    told: list[Row] = []
    if manifest is not None and manifest.parent is not None and parent is not None and parent.run is not None:
        before = _until(parent.run.steps(), manifest.parent.step)
        told = [row for row in parent.run.evaluations() if row["step"] <= manifest.parent.step]
    kept = final_passage([*before, *rows])
    spent = _spent([*before, *rows])
    base = float(before[-1].get("tokens", 0)) if before else 0.0
    return Trace(
        series={name: column(kept, name) for name in COLUMNS},
        validation=column(final_passage([*told, *evaluations]), "val_loss"),
        objective=column(final_passage([*told, *evaluations]), "val_objective"),
        regimes=tuple(_spans((row["step"], row.get("regime")) for row in kept)),
        faults=tuple(_spans((row["step"], ", ".join(row.get("faults", ()))) for row in kept)),
        events=tuple(run.events()),
        spent=_array([(tokens, seconds, loss) for _, tokens, seconds, loss in spent]),
        evaluated=_evaluated([*told, *evaluations], spent),
        own_steps=len(rows),
        own_tokens=max((float(row.get("tokens", 0)) for row in rows), default=base) - base,
        own_seconds=sum(float(row.get("seconds", 0.0)) for row in rows),
    )


def _until(rows: list[Row], step: int) -> list[Row]:
    """The rows up to the last passage over `step`, whose state a fork began with."""
    last = max((index for index, row in enumerate(rows) if row["step"] == step), default=-1)
    return rows[: last + 1]


def _spent(rows: list[Row]) -> list[tuple[tuple[int, int], float, float, float]]:
    """Of every row its place (attempt, step), tokens and seconds so far, and the smoothed loss."""
    seconds, found = 0.0, []
    for row in rows:
        seconds += float(row.get("seconds", 0.0))
        place = (row.get("attempt", 0), row["step"])
        found.append((place, float(row.get("tokens", np.nan)), seconds, float(row.get("loss_ema", np.nan))))
    return found


def _evaluated(
    evaluations: list[Row], spent: list[tuple[tuple[int, int], float, float, float]]
) -> Float[np.ndarray, "n 3"]:
    at = {place: (tokens, seconds) for place, tokens, seconds, _ in spent}
    found = []
    for row in evaluations:
        place = (row.get("attempt", 0), row["step"])
        if place in at and is_number(row.get("val_loss")):
            found.append((*at[place], float(row["val_loss"])))
    return _array(found)


def _array(rows: list[tuple[float, float, float]]) -> Float[np.ndarray, "n 3"]:
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _spans(steps: Iterable[tuple[int, str | None]]) -> Iterator[Span]:
    """Runs of steps under one name; steps without one belong to none, and a gap in the steps ends a run."""
    named = [(step, name) for step, name in steps if name]
    for _, group in groupby(enumerate(named), key=lambda item: (item[1][1], item[1][0] - item[0])):
        found = [pair for _, pair in group]
        yield Span(found[0][0], found[-1][0], found[0][1])


def opened(path: RunDirectory) -> tuple[Manifest | None, Summary | None]:
    """A run's manifest and summary, None where it has not begun or not ended. Raises `RunError` for damaged ones."""
    if not path.exists():
        if path.path.exists() and not path.path.is_dir():
            raise RunError(f"{path.path} is a file, where the folder of an episode belongs. Restore it from a copy.")
        return None, None
    return path.manifest(), path.summary()
