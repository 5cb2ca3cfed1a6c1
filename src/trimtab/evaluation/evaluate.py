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


class WeightedMean:
    """The mean of a loss over its weight, summed batch by batch in double precision."""

    def __init__(self) -> None:
        self.total, self.weight = 0.0, 0.0

    def add(self, output: Mapping[str, Any]) -> None:
        """Add the output of a loss: `loss`, a mean over `weight`."""
        weight = float(output["weight"])
        self.total += float(output["loss"].detach()) * weight
        self.weight += weight

    def value(self, without_weight: float) -> float:
        """The mean; `without_weight` where the weights add up to 0."""
        return self.total / self.weight if self.weight else without_weight


class _Reliability:
    """The reliability histogram. A confidence that is not finite is not counted, and makes the error NaN."""

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
    """Loss, top-1 accuracy and expected calibration error per token, weighted over all batches.

    Labels are token ids (−100: no target); with soft labels the most likely token counts as right. Returns `val_loss`, the
    `cross_entropy` in nats per token whatever the objective is, so that two objectives can be compared; `val_accuracy`;
    `val_calibration_error` (15 bins, whose content is in `val_reliability`); and `val_tokens`. With an `objective`, also its
    mean: `val_objective`. Means over no token are NaN.
    """
    right, tokens = 0, 0
    means = [(loss, WeightedMean()) for loss in (cross_entropy, objective) if loss is not None]
    bins = _Reliability()
    for batch in batches:
        logits, labels, metadata = forward(batch)
        for loss, mean in means:
            mean.add(loss(logits, labels, metadata))
        hard, target_mask = _hard(labels)
        confidence, guess = logits[target_mask].float().softmax(-1).max(-1)
        correct = guess == hard[target_mask]
        bins.add(confidence, correct)
        right += int(correct.sum())
        tokens += int(target_mask.sum())
    figures = {
        "val_loss": means[0][1].value(float("nan")),
        "val_accuracy": right / tokens if tokens else float("nan"),
        "val_calibration_error": bins.error(),
        "val_reliability": bins.bins.as_dict(),
        "val_tokens": tokens,
    }
    return figures if objective is None else figures | {"val_objective": means[1][1].value(float("nan"))}


def _hard(labels: Tensor) -> tuple[Int[Tensor, "batch time"], Tensor]:
    if labels.is_floating_point():
        return labels.argmax(-1), labels.sum(-1) > 0
    return labels, labels != IGNORE
