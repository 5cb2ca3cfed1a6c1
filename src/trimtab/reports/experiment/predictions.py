"""The answers of an episode's last task evaluation (`predictions.jsonl`)."""

import math
from typing import Annotated, Any, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from trimtab.records.rows import PredictionRow
from trimtab.reports.experiment.episodes import EpisodeRecords
from trimtab.reports.reading import checked_rows

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Prediction(PredictionRow):
    """A prediction whose confidences and probabilities lie in [0, 1].

    Confidence and option probabilities that are not finite, as those of a diverged model, are None.
    """

    confidence: Share | None
    agreement: Share | None = None
    option_probabilities: list[Share] | None = None
    true_probabilities: list[Share] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_non_finite(cls, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        own = row.get("option_probabilities")
        numbers = [row.get("confidence"), *(own if isinstance(own, list) else ())]
        if all(math.isfinite(number) for number in numbers if isinstance(number, float)):
            return row
        return {**row, "confidence": None, "option_probabilities": None}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for name in ("option_probabilities", "true_probabilities"):
            probabilities = getattr(self, name)
            if probabilities is not None and abs(sum(probabilities) - 1) > 1e-4:
                raise ValueError(f"{name} should sum to 1; they sum to {sum(probabilities):.6g}")
        if self.knows_truth and len(self.option_probabilities or ()) != len(self.true_probabilities or ()):
            raise ValueError("option_probabilities and true_probabilities should have one length")
        return self

    @property
    def knows_truth(self) -> bool:
        """Whether both the model's and the exact distribution are recorded."""
        return self.option_probabilities is not None and self.true_probabilities is not None

    @property
    def right(self) -> bool:
        """The outcome that the confidence predicts: whether the answer is right, or names the outcome that was drawn."""
        return self.correct if self.hit is None else self.hit

    @property
    def label(self) -> int | None:
        """The index of the option that is the outcome, or without an outcome the right answer; None where no option is."""
        wanted = str(self.answer if self.outcome is None else self.outcome)
        names = [str(option) for option in self.options or ()]
        return names.index(wanted) if wanted in names else None


def read_predictions(episode: EpisodeRecords) -> list[Prediction]:
    """The predictions of an episode that has ended, otherwise none. Raises `RunError` for a damaged file."""
    if episode.run is None or not episode.finished:
        return []
    return checked_rows(Prediction, episode.run.predictions(), episode.run.predictions_path)


def options_table(rows: list[list[float]]) -> Float[np.ndarray, "n options"]:
    """Distributions over unequally many options as rows of one table, padded with zeros."""
    table = np.zeros((len(rows), max(map(len, rows))))
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table


def columns(predictions: list[Prediction], name: str) -> Any:
    """One field of all of them."""
    return np.array([getattr(one, name) for one in predictions], dtype=np.float64)
