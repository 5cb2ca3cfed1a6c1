"""A model's figures on fixed batches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.evaluation.calibration import ReliabilityBins

IGNORE = -100
Forward = Callable[[Any], tuple[Float[Tensor, "batch time vocabulary"], Tensor, Mapping[str, Any]]]
"""From a batch to logits, aligned labels and metadata."""


class Loss(Protocol):
    """A loss, as evaluation sees it."""

    def __call__(self, logits: Tensor, labels: Tensor, batch_metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """`loss`, a mean over `weight`, and `weight`."""
        ...


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


class _Reliability:
    """The reliability histogram; a confidence that is not finite makes its error NaN and is not counted."""

    def __init__(self) -> None:
        self.bins, self.finite = ReliabilityBins(), True

    def add(self, confidence: Float[Tensor, " n"], correct: Bool[Tensor, " n"]) -> None:
        known = confidence.isfinite()
        self.finite &= bool(known.all())
        self.bins.add(confidence[known].double().clamp(max=1.0).cpu().numpy(), correct[known].cpu().numpy())

    def error(self) -> float:
        return self.bins.ece() if self.finite else float("nan")


@torch.no_grad()
def evaluate(
    forward: Forward, cross_entropy: Loss, batches: Iterable[Any], objective: Loss | None = None
) -> dict[str, Any]:
    """Loss, top-1 accuracy and expected calibration error a token, weighted over all batches.

    Labels are token ids (−100 not asked); with soft labels the likeliest token is the one that counts as right. Returns
    `val_loss`, which is `cross_entropy` (nats a token) whatever is trained on, so that two objectives can be compared;
    `val_accuracy`, `val_calibration_error` (15 bins; `val_reliability` says what is in each) and `val_tokens`. With an
    `objective`, also its mean: `val_objective`.
    """
    right, tokens = 0, 0
    loss, further = _Mean(cross_entropy), None if objective is None else _Mean(objective)
    bins = _Reliability()
    for batch in batches:
        logits, labels, metadata = forward(batch)
        loss.add(logits, labels, metadata)
        if further is not None:
            further.add(logits, labels, metadata)
        hard, asked = _hard(labels)
        confidence, guess = logits[asked].float().softmax(-1).max(-1)
        correct = guess == hard[asked]
        bins.add(confidence, correct)
        right += int(correct.sum())
        tokens += int(asked.sum())
    figures = {
        "val_loss": loss.value(),
        "val_accuracy": right / tokens if tokens else float("nan"),
        "val_calibration_error": bins.error(),
        "val_reliability": bins.bins.as_dict(),
        "val_tokens": tokens,
    }
    return figures if further is None else figures | {"val_objective": further.value()}


def _hard(labels: Tensor) -> tuple[Int[Tensor, "batch time"], Tensor]:
    if labels.is_floating_point():
        return labels.argmax(-1), labels.sum(-1) > 0
    return labels, labels != IGNORE
