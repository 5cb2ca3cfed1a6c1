"""A model's figures on fixed batches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

IGNORE = -100
Forward = Callable[[Any], tuple[Float[Tensor, "batch time vocabulary"], Tensor, Mapping[str, Any]]]
"""From a batch to logits, aligned labels and metadata."""


class Loss(Protocol):
    """A loss, as evaluation sees it."""

    def __call__(self, logits: Tensor, labels: Tensor, batch_metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """`loss`, a mean over `weight`, and `weight`."""
        ...


class CalibrationBins:
    """Expected calibration error over equal-width confidence bins (Guo et al. 2017), summed up batch by batch.

    Confidences of exactly 0 and 1 fall into the first and the last bin.
    """

    def __init__(self, bins: int = 15) -> None:
        self.bins = bins
        self.count, self.confidence, self.correct = (torch.zeros(bins, dtype=torch.float64) for _ in range(3))

    def add(self, confidence: Float[Tensor, " n"], correct: Float[Tensor, " n"]) -> None:
        """Take in top-1 confidences in [0, 1] and whether each was right (0 or 1)."""
        index = (confidence.double() * self.bins).long().clamp(0, self.bins - 1).cpu()
        self.count += torch.bincount(index, minlength=self.bins)
        self.confidence += torch.bincount(index, weights=confidence.double().cpu(), minlength=self.bins)
        self.correct += torch.bincount(index, weights=correct.double().cpu(), minlength=self.bins)

    def error(self) -> float:
        """The error in [0, 1]; NaN when nothing was added."""
        total = self.count.sum()
        return float((self.confidence - self.correct).abs().sum() / total) if total > 0 else float("nan")


class _Mean:
    """A loss's mean over its weight, added up batch by batch."""

    def __init__(self, loss: Loss) -> None:
        self.loss, self.total, self.weights = loss, 0.0, 0.0

    def add(self, logits: Tensor, labels: Tensor, metadata: Mapping[str, Any]) -> None:
        output = self.loss(logits, labels, metadata)
        weight = float(output["weight"])
        self.total += float(output["loss"]) * weight
        self.weights += weight

    def value(self) -> float:
        return self.total / self.weights if self.weights else float("nan")


@torch.no_grad()
def evaluate(
    forward: Forward, cross_entropy: Loss, batches: Iterable[Any], objective: Loss | None = None
) -> dict[str, float]:
    """Loss, top-1 accuracy and expected calibration error a token, weighted over all batches.

    Labels are token ids (−100 not asked); with soft labels the likeliest token is the one that counts as right. Returns
    `val_loss`, which is `cross_entropy` (nats a token) whatever is trained on, so that two objectives can be compared;
    `val_accuracy`, `val_calibration_error` (15 bins) and `val_tokens`. With an `objective`, also its mean: `val_objective`.
    """
    right, tokens = 0, 0
    loss, further = _Mean(cross_entropy), None if objective is None else _Mean(objective)
    bins = CalibrationBins()
    for batch in batches:
        logits, labels, metadata = forward(batch)
        loss.add(logits, labels, metadata)
        if further is not None:
            further.add(logits, labels, metadata)
        hard, asked = _hard(labels)
        confidence, guess = logits[asked].float().softmax(-1).max(-1)
        correct = guess == hard[asked]
        bins.add(confidence, correct.float())
        right += int(correct.sum())
        tokens += int(asked.sum())
    figures = {
        "val_loss": loss.value(),
        "val_accuracy": right / tokens if tokens else float("nan"),
        "val_calibration_error": bins.error(),
        "val_tokens": tokens,
    }
    return figures if further is None else figures | {"val_objective": further.value()}


def _hard(labels: Tensor) -> tuple[Int[Tensor, "batch time"], Tensor]:
    if labels.is_floating_point():
        return labels.argmax(-1), labels.sum(-1) > 0
    return labels, labels != IGNORE
