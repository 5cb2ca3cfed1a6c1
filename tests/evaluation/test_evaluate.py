import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trimtab.evaluation.evaluate import IGNORE, evaluate
from trimtab.losses import CrossEntropy


def calibration_error(confidences: list[float], correct: list[int], bins: int) -> float:
    """Guo et al. 2017, equation 3, over the bins [i/n, (i+1)/n), the last one closed."""
    total = 0.0
    for index in range(bins):
        inside = [k for k, c in enumerate(confidences) if min(int(c * bins), bins - 1) == index]
        if inside:
            gap = np.mean([correct[k] for k in inside]) - np.mean([confidences[k] for k in inside])
            total += len(inside) / len(confidences) * abs(float(gap))
    return total


Aligned = tuple[Tensor, Tensor, Mapping[str, Any]]


def batch_of(seed: int, rows: int, targets: int, vocabulary: int = 6, time: int = 8) -> Aligned:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, time, vocabulary, generator=generator) * 2
    labels = torch.randint(vocabulary, (rows, time), generator=generator)
    labels.view(-1)[targets:] = IGNORE
    return logits, labels, {}


def forward(batch: Aligned) -> Aligned:
    return batch


def test_figures_are_weighted_by_token_over_uneven_batches() -> None:
    batches = [batch_of(0, 4, 32), batch_of(1, 1, 1), batch_of(2, 2, 9)]
    figures = evaluate(forward, CrossEntropy(), batches)
    logits = torch.cat([logits.flatten(0, 1)[labels.flatten() != IGNORE] for logits, labels, _ in batches])
    labels = torch.cat([labels.flatten()[labels.flatten() != IGNORE] for _, labels, _ in batches])
    assert figures["val_tokens"] == len(labels) == 42
    assert figures["val_loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-6)
    assert figures["val_accuracy"] == pytest.approx(float((logits.argmax(-1) == labels).double().mean()))
    confidence, guess = logits.softmax(-1).max(-1)
    expected = calibration_error(confidence.tolist(), (guess == labels).int().tolist(), 15)
    assert figures["val_calibration_error"] == pytest.approx(expected, rel=1e-6)


def test_figures_do_not_depend_on_the_batch_size() -> None:
    logits, labels, metadata = batch_of(0, 6, 41)
    whole = evaluate(forward, CrossEntropy(), [(logits, labels, metadata)])
    parts = evaluate(
        forward, CrossEntropy(), [(logits[a:b], labels[a:b], metadata) for a, b in ((0, 1), (1, 5), (5, 6))]
    )
    histograms = [figures.pop("val_reliability") for figures in (whole, parts)]
    assert histograms[0]["count"] == histograms[1]["count"]
    assert parts == {key: pytest.approx(value, rel=1e-6) for key, value in whole.items()}


def test_with_soft_labels_the_most_likely_token_is_right() -> None:
    logits, labels, _ = batch_of(0, 2, 16)
    soft = 0.1 * torch.ones_like(logits) / logits.shape[-1] + 0.9 * torch.nn.functional.one_hot(
        labels, logits.shape[-1]
    )
    soft[0, 0] = 0
    figures = evaluate(forward, CrossEntropy(), [(logits, soft, {})])
    mask = soft.sum(-1) > 0
    assert figures["val_tokens"] == 15
    assert figures["val_accuracy"] == pytest.approx(float((logits.argmax(-1) == labels)[mask].double().mean()))


@pytest.mark.parametrize("batches", [[], [batch_of(0, 2, 0)]], ids=["no batch", "no target"])
def test_figures_without_targets_are_nan(batches: list[Aligned]) -> None:
    figures = evaluate(forward, CrossEntropy(), batches)
    assert figures["val_tokens"] == 0
    assert all(math.isnan(figures[key]) for key in ("val_loss", "val_accuracy", "val_calibration_error"))


def test_a_loss_that_is_not_finite_is_not_hidden() -> None:
    logits, labels, _ = batch_of(0, 2, 16)
    logits[0, 0, 0] = math.nan
    figures = evaluate(forward, CrossEntropy(), [batch_of(1, 2, 16), (logits, labels, {})])
    assert math.isnan(figures["val_loss"])


def test_bf16_logits_and_no_graph() -> None:
    logits, labels, _ = batch_of(0, 2, 16)
    logits.requires_grad_()
    seen: list[bool] = []

    def loss(logits: Tensor, labels: Tensor, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        output = CrossEntropy()(logits, labels, metadata)
        seen.append(output["loss"].requires_grad)
        return output

    figures = evaluate(lambda batch: (batch[0].bfloat16() * 1, batch[1], batch[2]), loss, [(logits, labels, {})])
    assert seen == [False]
    assert figures["val_loss"] == pytest.approx(
        evaluate(forward, CrossEntropy(), [(logits, labels, {})])["val_loss"], rel=0.02
    )
