"""The predictions of an arm's episodes together, and how its figures stand in a table."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.reports.blocks import DASH, figure
from trimtab.reports.experiment.predictions import Prediction, read_predictions
from trimtab.reports.experiment.records import Records

if TYPE_CHECKING:
    from trimtab.evaluation.calibration import Figure

HEADS = ("figure", "arm", "value", "95% interval", "perfect predictor", "its 95% mark")


@dataclass(frozen=True)
class Pooled:
    """The predictions of an arm's episodes, each with its seed; an arm that never acted in a seed has its baseline's there.

    `left_out` says in words which episodes have predictions that are not finite and therefore not among the rows.
    """

    arm: str
    episodes: int
    rows: tuple[tuple[int, Prediction], ...]
    left_out: str = ""

    @cached_property
    def predictions(self) -> list[Prediction]:
        """The predictions alone."""
        return [one for _, one in self.rows]

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len({seed for seed, _ in self.rows})

    def settings(self, rows: tuple[tuple[int, Prediction], ...] | None = None) -> dict[str, Any]:
        """Clusters by seed and by item, and a seed that makes the report the same every time."""
        used = self.rows if rows is None else rows
        return {"groups": np.array([(seed, one.item) for seed, one in used]), "seed": 0}


def pool(records: Records, arm: str) -> Pooled | None:
    """An arm's predictions; None where no episode has left any."""
    rows: list[tuple[int, Prediction]] = []
    episodes, broken = 0, []
    for episode in records.of(arm):
        predictions = read_predictions(episode)
        finite = [one for one in predictions if one.confidence is not None]
        rows += [(episode.seed, one) for one in finite]
        episodes += bool(finite)
        if lost := len(predictions) - len(finite):
            broken.append(f"{lost} of {len(predictions)} of seed {episode.seed}")
    left_out = f"{arm}: {', '.join(broken)}" if broken else ""
    return Pooled(arm, episodes, tuple(rows), left_out) if rows or broken else None


def cells(found: "Figure") -> tuple[str, str, str, str]:
    """A figure as the last four columns of `HEADS`."""
    between = DASH if found.low is None or found.high is None else f"{_number(found.low)} to {_number(found.high)}"
    return _number(found.value), between, _number(found.null_floor), _number(found.null_high)


def _number(value: float | None) -> str:
    return figure(0.0 if value is not None and abs(value) < 1e-9 else value, 3)  # sums of rounding errors are no figure
