"""The pooled predictions of an arm's episodes, and the columns of a table of calibration scores."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.reports.blocks import DASH, figure
from trimtab.reports.experiment.predictions import Prediction, read_predictions
from trimtab.reports.experiment.records import ExperimentRecords

if TYPE_CHECKING:
    from trimtab.evaluation.calibration import Figure

HEADS = ("score", "arm", "value", "95% interval", "perfect predictor", "its 95% mark")


@dataclass(frozen=True)
class Pooled:
    """The predictions of an arm's episodes, each with its seed; where its controller never acted, the baseline's.

    `left_out` says which episodes have non-finite predictions, which `rows` leave out.
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
        """Arguments of the calibration functions: clusters by seed and item, and a fixed random seed."""
        used = self.rows if rows is None else rows
        return {"groups": np.array([(seed, one.item) for seed, one in used]), "seed": 0}


def pool(records: ExperimentRecords, arm: str) -> Pooled | None:
    """An arm's predictions; None where no episode has any."""
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


def cells(score: "Figure") -> tuple[str, str, str, str]:
    """A score as the last four columns of `HEADS`."""
    between = DASH if score.low is None or score.high is None else f"{_number(score.low)} to {_number(score.high)}"
    return _number(score.value), between, _number(score.null_floor), _number(score.null_high)


def _number(value: float | None) -> str:
    return figure(0.0 if value is not None and abs(value) < 1e-9 else value, 3)  # a sum of rounding errors is 0
