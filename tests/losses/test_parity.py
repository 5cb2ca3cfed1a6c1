"""Every loss against somebody else's implementation, or against its formula written out."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.losses.setting import BATCH, TIME, VOCABULARY, labels_of, logits_of, loss_of, metadata_of
from trimtab.losses.module import IGNORE
from trimtab.losses.propriety import TEXTS, token_values

IS_NUMBER = token_values().isfinite()


def value(spec: dict[str, Any], logits: Tensor, labels: Tensor, metadata: dict[str, Any] | None = None) -> Tensor:
    result: Tensor = loss_of(spec)(logits, labels, metadata or {})["loss"]
    return result


def same(ours: Tensor, theirs: Tensor, logits: Tensor) -> None:
    """The same value and the same gradient."""
    torch.testing.assert_close(ours, theirs.to(ours.dtype))
    (a,) = torch.autograd.grad(ours, logits, retain_graph=True)
    (b,) = torch.autograd.grad(theirs, logits, retain_graph=True)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_label_smoothing_equals_that_of_torch(share: float) -> None:
    logits, labels = logits_of(), labels_of()
    theirs = functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, label_smoothing=share
    )
    same(value({"name": "label_smoothing", "smoothing": share}, logits, labels), theirs, logits)


def test_uncertainty_smoothing_with_one_uncertainty_equals_label_smoothing() -> None:
    logits, labels = logits_of(), labels_of()
    ours = value({"name": "uncertainty_smoothing", "maximum": 0.4}, logits, labels, {"uncertainty": [0.5] * BATCH})
    same(ours, value({"name": "label_smoothing", "smoothing": 0.2}, logits, labels), logits)


def torch_uncertainty() -> ModuleType:
    """torch-uncertainty's classification losses; its package itself wants lightning, this file only torch."""
    package = importlib.util.find_spec("torch_uncertainty")
    assert package is not None and package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "losses" / "classification.py"
    spec = importlib.util.spec_from_file_location("torch_uncertainty_classification", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_equals_that_of_torch_uncertainty(gamma: float) -> None:
    logits, labels = logits_of(), labels_of()
    mask = labels != IGNORE
    theirs = torch_uncertainty().FocalLoss(gamma)(logits[mask], labels[mask])
    same(value({"name": "focal", "gamma": gamma}, logits, labels), theirs, logits)


def test_cross_entropy_with_confidence_penalty_equals_that_of_torch_uncertainty() -> None:
    logits, labels = logits_of(), labels_of()
    mask = labels != IGNORE
    theirs = torch_uncertainty().ConfidencePenaltyLoss(reg_weight=0.3, eps=0.0)(logits[mask], labels[mask])
    terms = [{"name": "cross_entropy"}, {"name": "confidence_penalty", "weight": 0.3}]
    # Theirs is shifted by log V, so that it is never negative.
    same(value({"name": "sum", "terms": terms}, logits, labels) + 0.3 * math.log(VOCABULARY), theirs, logits)


def test_entropy_equals_that_of_torch() -> None:
    logits, labels = logits_of(), labels_of()
    theirs = torch.distributions.Categorical(logits=logits[labels != IGNORE]).entropy().mean()
    same(value({"name": "entropy"}, logits, labels), theirs, logits)
    same(value({"name": "confidence_penalty"}, logits, labels), -theirs, logits)


def test_generalized_cross_entropy_equals_its_formula_and_its_limits() -> None:
    logits, labels = logits_of(), labels_of()
    mask = labels != IGNORE
    p = logits[mask].softmax(-1).gather(-1, labels[mask][:, None])
    same(value({"name": "generalized_cross_entropy", "q": 0.7}, logits, labels), ((1 - p**0.7) / 0.7).mean(), logits)
    same(value({"name": "generalized_cross_entropy", "q": 1}, logits, labels), (1 - p).mean(), logits)
    for q in (0, 1e-7):
        same(value({"name": "generalized_cross_entropy", "q": q}, logits, labels), -p.log().mean(), logits)


class Digits:
    """What ntloss asks of a tokenizer."""

    def __len__(self) -> int:
        return VOCABULARY

    def add_tokens(self, tokens: list[str]) -> int:
        return sum(token not in TEXTS for token in tokens)

    def get_vocab(self) -> dict[str, int]:
        return {text: token for token, text in enumerate(TEXTS)}


@pytest.mark.parametrize(("distance", "name"), [("wasserstein", "NTLoss"), ("mse", "NTLossDotProduct")])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_number_token_loss_equals_that_of_ntloss(distance: str, name: str, seed: int) -> None:
    import ntloss

    logits, labels = logits_of(seed, torch.float32), labels_of(seed)
    labels[0, 0] = 7
    theirs = getattr(ntloss, name)(tokenizer=Digits(), reweigh=False)(logits, labels)
    same(value({"name": "number_token", "distance": distance}, logits, labels), theirs, logits)


def test_the_ranked_probability_score_equals_its_formula() -> None:
    logits, labels = logits_of(), labels_of()
    scores = []
    for row, label in zip(logits[labels != IGNORE], labels[labels != IGNORE].tolist(), strict=True):
        if IS_NUMBER[label]:
            p = row[IS_NUMBER].softmax(-1)
            scores.append(sum((p[: k + 1].sum() - float(label <= k)) ** 2 for k in range(10)))
    same(value({"name": "ranked_probability"}, logits, labels), torch.stack(scores).mean(), logits)  # type: ignore[arg-type]


def test_the_ranked_probability_score_of_unsorted_and_equal_values() -> None:
    # Tokens 0, 3 are worth 5, token 1 is worth 2, token 4 is worth 9, token 2 is not a number.
    from trimtab.losses.ranked_probability import RankedProbability

    values = torch.tensor([5.0, 2.0, math.nan, 5.0, 9.0], dtype=torch.float64)
    logits = torch.log(torch.tensor([[[0.1, 0.2, 0.5, 0.05, 0.15]]], dtype=torch.float64))
    for label, expected in ((3, 0.4**2 + 0.3**2), (1, 0.6**2 + 0.3**2), (4, 0.4**2 + 0.7**2)):
        loss = RankedProbability(token_values=values)(logits, torch.tensor([[label]]), {})["loss"]
        assert float(loss) == pytest.approx(expected)


def test_soft_binned_ece_with_nearly_hard_bins_equals_that_of_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, labels = logits_of(batch=20), labels_of(batch=20)
    mask = labels != IGNORE
    theirs = multiclass_calibration_error(logits[mask], labels[mask], VOCABULARY, n_bins=15, norm="l2")
    ours = value({"name": "soft_binned_ece", "temperature": 1e-7}, logits, labels)
    torch.testing.assert_close(ours.detach(), theirs.detach().to(ours.dtype), rtol=1e-5, atol=1e-6)


def test_mmce_equals_its_formula_over_all_pairs() -> None:
    logits, labels = logits_of(), labels_of()
    r, guess = logits[labels != IGNORE].softmax(-1).max(-1)
    gap = (guess == labels[labels != IGNORE]).double() - r
    kernel = (-(r[:, None] - r).abs() / 0.4).exp()
    same(value({"name": "mmce"}, logits, labels), (gap[:, None] * gap * kernel).mean().sqrt(), logits)


def test_soft_tokens_equals_the_kl_divergence_of_torch_with_dense_targets() -> None:
    logits, labels, metadata = logits_of(), labels_of(), metadata_of()
    hard = functional.one_hot(labels.clamp(min=0), VOCABULARY).double()
    dense = torch.zeros(BATCH, TIME, VOCABULARY, dtype=torch.float64)
    dense.scatter_add_(-1, metadata["target_ids"], metadata["target_weights"].double())
    given_set = dense.sum(-1, keepdim=True) > 0
    q = torch.where(given_set, 0.6 * dense + 0.4 * hard, hard)
    mask = labels != IGNORE
    theirs = functional.kl_div(logits[mask].log_softmax(-1), q[mask], reduction="batchmean")
    ours = value({"name": "soft_tokens", "targets": "set", "share": 0.6, "roles": None}, logits, labels, metadata)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    (a,), (b,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("targets", ["gaussian", "exponential"])
def test_kernels_over_all_digits_equal_dense_targets(targets: str) -> None:
    logits, labels = logits_of(), labels_of()
    mask = labels != IGNORE
    d = (torch.arange(10.0)[:, None] - torch.arange(10.0)).abs().double()
    kernel = torch.exp(-(d**2) / (2 * 1.5**2)) if targets == "gaussian" else torch.exp(-d / 1.5)
    table = torch.eye(VOCABULARY, dtype=torch.float64)
    table[:10, :10] = kernel / kernel.sum(-1, keepdim=True)
    theirs = functional.kl_div(logits[mask].log_softmax(-1), table[labels[mask]], reduction="batchmean")
    same(value({"name": "soft_tokens", "targets": targets, "width": 1.5}, logits, labels), theirs, logits)


@pytest.mark.parametrize("unit", ["token", "sequence"])
def test_the_weighted_loss_equals_its_formula(unit: str) -> None:
    logits, labels, metadata = logits_of(), labels_of(), metadata_of()
    top: Tensor | float = 0.0
    bottom = 0.0
    for row, tags, u in zip(logits, labels, metadata["uncertainty"], strict=True):
        mask = tags != IGNORE
        if not bool(mask.any()):
            continue
        losses = functional.cross_entropy(row[mask], tags[mask], reduction="none")
        w = 1 - 0.8 * u
        top = top + w * (losses.sum() if unit == "token" else losses.mean())
        bottom += w * (int(mask.sum()) if unit == "token" else 1)
    assert isinstance(top, Tensor)
    same(value({"name": "weighted", "strength": 0.8, "unit": unit}, logits, labels, metadata), top / bottom, logits)


def test_activation_terms_equal_their_formulas() -> None:
    logits, labels, metadata = logits_of(), labels_of(), metadata_of()
    mask = labels != IGNORE
    first, second = (activation[mask] for activation in metadata["activations"].values())
    both = torch.stack([first, second])
    for spec, expected in (
        ({"name": "activation_sparsity"}, both.abs().mean()),
        ({"name": "activation_sparsity", "target": 0.7}, (both.abs().mean(-1) - 0.7).abs().mean()),
        ({"name": "activation_sparsity", "layers": r"blocks\.1"}, second.abs().mean()),
        ({"name": "activation_norm"}, (both**2).mean()),
    ):
        torch.testing.assert_close(value(spec, logits, labels, metadata), expected)
