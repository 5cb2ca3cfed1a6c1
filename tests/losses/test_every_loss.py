"""What holds for every loss that ships."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.setting import (
    BATCH,
    ON_LABELS,
    SPECS,
    TIME,
    VOCABULARY,
    labels_of,
    logits_of,
    loss_of,
    metadata_of,
    rows,
)
from trimtab.config import ConfigError
from trimtab.losses.module import IGNORE
from trimtab.losses.propriety import TEXTS, reads_logits, token_values
from trimtab.training.components import LOSSES

ADDITIVE = [name for name in SPECS if loss_of(name).additive]
every = pytest.mark.parametrize("name", SPECS)
on_labels = pytest.mark.parametrize("name", ON_LABELS)
additive = pytest.mark.parametrize("name", ADDITIVE)


def test_every_registered_loss_is_tested() -> None:
    assert {spec["name"] for spec in SPECS.values()} == {entry.name for entry in LOSSES if reads_logits(entry.name)}


def test_all_losses_but_the_calibration_terms_are_additive() -> None:
    assert {SPECS[name]["name"] for name in SPECS if name not in ADDITIVE} == {"mmce", "soft_binned_ece", "sum"}
    assert set(SPECS) - set(ADDITIVE) == {"mmce", "soft_binned_ece", "sum with a calibration term"}


@on_labels
def test_the_gradient_passes_gradcheck(name: str) -> None:
    # By random directions (fast mode): two evaluations instead of two an element.
    labels, metadata, loss = labels_of(), metadata_of(), loss_of(name)
    for seed in range(3):
        logits = logits_of(seed)
        assert torch.autograd.gradcheck(lambda x: loss(x, labels, metadata)["loss"], (logits,), fast_mode=True)


@pytest.mark.parametrize("name", ["activation_sparsity", "activation_norm"])
def test_the_gradient_of_activations_passes_gradcheck(name: str) -> None:
    labels, logits, loss = labels_of(), logits_of(), loss_of(name)
    first, second = metadata_of()["activations"].values()

    def value(a: Tensor, b: Tensor) -> Tensor:
        result: Tensor = loss(logits, labels, {"activations": {"a": a, "b": b}})["loss"]
        return result

    assert torch.autograd.gradcheck(value, (first, second), fast_mode=True)


@on_labels
def test_a_second_derivative_exists(name: str) -> None:
    # The instruments of sharpness take gradients of gradients.
    logits = logits_of()
    value = loss_of(name)(logits, labels_of(), metadata_of())["loss"]
    (gradient,) = torch.autograd.grad(value, logits, create_graph=True)
    (second,) = torch.autograd.grad((gradient**2).sum(), logits)
    assert bool(second.isfinite().all()) and bool((second != 0).any())


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_without_targets_has_loss_0_and_gradient_0(name: str, dtype: torch.dtype) -> None:
    logits, metadata = logits_of(dtype=dtype), metadata_of()
    output = loss_of(name)(logits, torch.full((BATCH, TIME), IGNORE), metadata)
    assert (float(output["loss"].detach()), float(output["weight"])) == (0.0, 0.0)
    output["loss"].backward()
    followed = [logits] if name in ON_LABELS else list(metadata["activations"].values())
    for tensor in followed:
        assert tensor.grad is not None
        assert bool((tensor.grad == 0).all())
    assert all(value == value for value in output["aux"].values())


@every
def test_a_batch_without_numbers_is_finite(name: str) -> None:
    logits, labels = logits_of(dtype=torch.float32), labels_of()
    labels[(labels >= 0) & (labels < 10)] = 12
    output = loss_of(name)(logits, labels, metadata_of())
    assert bool(output["loss"].isfinite())
    if SPECS[name]["name"] in ("number_token", "ranked_probability"):
        assert (float(output["loss"].detach()), float(output["weight"])) == (0.0, 0.0)
    output["loss"].backward()
    if name in ON_LABELS:
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())


@every
def test_extreme_logits_give_finite_losses_and_gradients(name: str) -> None:
    logits = (logits_of(dtype=torch.float32).detach() * 300).requires_grad_()
    output = loss_of(name)(logits, labels_of(), metadata_of())
    assert bool(output["loss"].isfinite())
    output["loss"].backward()
    if name in ON_LABELS:
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())


@on_labels
def test_backward_keeps_no_more_than_a_copy_of_the_logits(name: str) -> None:
    vocabulary = 2000
    values = torch.full((vocabulary,), float("nan"), dtype=torch.float64)
    values[: len(TEXTS)] = token_values()
    texts = [*TEXTS, *map(str, range(100, 100 + vocabulary - len(TEXTS)))]
    loss = LOSSES.build(LOSSES.resolve(SPECS[name]), token_values=values, token_texts=texts)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, TIME, vocabulary, generator=generator).requires_grad_()
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if tensor.numel() >= vocabulary * TIME and storage.data_ptr() != logits.untyped_storage().data_ptr():
            kept[storage.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = loss(logits, torch.randint(vocabulary, (BATCH, TIME), generator=generator), metadata_of())
    output["loss"].backward()
    # Cross-entropy keeps one and the entropies one, the others none.
    assert sum(kept.values()) <= logits.numel() * (2 if name == "sum within a sum" else 1)


@every
def test_half_precision_is_computed_in_fp32(name: str) -> None:
    half = logits_of(dtype=torch.bfloat16)
    output = loss_of(name)(half, labels_of(), metadata_of())
    assert output["loss"].dtype in (torch.float32, torch.float64)
    lifted = loss_of(name)(half.detach().float(), labels_of(), metadata_of())
    torch.testing.assert_close(output["loss"].detach(), lifted["loss"].detach(), rtol=0, atol=0)


@every
def test_the_denominator_is_the_weight_and_needs_no_logits(name: str) -> None:
    labels, metadata, loss = labels_of(), metadata_of(), loss_of(name)
    result = loss.denominators(labels, metadata)
    assert result.dtype == torch.float64 and result.ndim == 1
    weight = loss(logits_of(), labels, metadata)["weight"]
    assert float(result[0]) == pytest.approx(float(weight), rel=1e-6)
    if not hasattr(loss, "terms"):
        assert len(result) == 1


@on_labels
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31), more=st.integers(1, 3))
def test_logits_and_metadata_at_positions_without_target_do_not_matter(name: str, seed: int, more: int) -> None:
    labels, metadata, loss = labels_of(seed), metadata_of(seed), loss_of(name)
    logits = logits_of(seed)
    plain = loss(logits, labels, metadata)
    plain["loss"].backward()
    garbage = torch.where((labels == IGNORE)[..., None], float("nan"), logits.detach())
    padded = torch.cat([garbage, torch.full((BATCH, more, VOCABULARY), 1e4, dtype=torch.float64)], dim=1)
    longer = torch.cat([labels, torch.full((BATCH, more), IGNORE)], dim=1)
    around: dict[str, Any] = {
        key: torch.cat([value, torch.full_like(value[:, :1], 3).expand(-1, more, *value.shape[2:])], dim=1)
        if isinstance(value, Tensor)
        else value
        for key, value in metadata.items()
        if key != "activations"
    }
    if "cross_entropy" not in str(SPECS[name]):  # torch's own cross-entropy may not see NaN
        other = loss(padded.requires_grad_(), longer, around)
        torch.testing.assert_close(other["loss"], plain["loss"])
    torch.testing.assert_close(loss(padded.nan_to_num(7.0), longer, around)["loss"], plain["loss"])
    assert logits.grad is not None
    assert bool((logits.grad[labels == IGNORE] == 0).all())


@every
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_order_of_the_examples_does_not_matter(name: str, seed: int) -> None:
    logits, labels, metadata, loss = logits_of(seed), labels_of(seed), metadata_of(seed), loss_of(name)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(seed))
    shuffled = loss(logits[order], labels[order], rows(metadata, order))
    plain = loss(logits, labels, metadata)
    torch.testing.assert_close(shuffled["loss"], plain["loss"])
    torch.testing.assert_close(shuffled["weight"], plain["weight"])


def stepped(
    name: str, logits: Tensor, labels: Tensor, metadata: dict[str, Any], size: int
) -> tuple[float, dict[str, float]]:
    """A step as the trainer makes it: micro-batches of `size`, Σ loss · weight, divided once; the gradient is left in `logits`."""
    loss = loss_of(name)
    parts = [range(start, start + size) for start in range(0, BATCH, size)]
    extra: dict[str, Any] = {}
    if len(parts) > 1:
        totals = sum(loss.denominators(labels[list(part)], rows(metadata, part)) for part in parts)
        extra = {"denominators": totals, "micro_batches": len(parts)}
    total, weights, aux = 0.0, 0.0, dict[str, float]()
    for part in parts:
        output = loss(logits[list(part)], labels[list(part)], rows(metadata, part) | extra)
        (output["loss"] * output["weight"]).backward()
        total += float(output["loss"].detach()) * float(output["weight"])
        weights += float(output["weight"])
        for key, value in output["aux"].items():
            aux[key] = aux.get(key, 0.0) + value * float(output["weight"])
    weights = weights or 1.0  # as in `Passes.backward`: a step without targets has loss 0
    followed = [logits, *metadata["activations"].values()]
    for tensor in followed:
        if tensor.grad is not None:
            tensor.grad /= weights
    return total / weights, {key: value / weights for key, value in aux.items()}


@additive
@pytest.mark.parametrize("size", [1, 2])
def test_micro_batches_give_the_loss_and_gradient_of_one_batch(name: str, size: int) -> None:
    whole, cut = logits_of(dtype=torch.float32), logits_of(dtype=torch.float32)
    labels, one, other = labels_of(), metadata_of(), metadata_of()
    value, figures = stepped(name, whole, labels, one, BATCH)
    pieces, parts = stepped(name, cut, labels, other, size)
    assert pieces == pytest.approx(value, abs=1e-6)
    assert parts == pytest.approx(figures, abs=1e-6)
    pairs = [(whole, cut), *zip(one["activations"].values(), other["activations"].values(), strict=True)]
    for a, b in pairs:
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None and b.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, rtol=0, atol=1e-6)


@additive
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_micro_batches_give_the_loss_of_one_batch_for_random_targets(name: str, seed: int) -> None:
    whole, cut = logits_of(seed, torch.float32), logits_of(seed, torch.float32)
    labels = labels_of(seed)
    value, _ = stepped(name, whole, labels, metadata_of(seed), BATCH)
    pieces, _ = stepped(name, cut, labels, metadata_of(seed), 1)
    assert pieces == pytest.approx(value, rel=1e-6, abs=1e-6)
    if name in ON_LABELS:
        assert whole.grad is not None
        torch.testing.assert_close(cut.grad, whole.grad, rtol=0, atol=1e-6 * max(1.0, float(whole.grad.abs().max())))


@pytest.mark.parametrize("name", [name for name in SPECS if SPECS[name]["name"] not in ("cross_entropy", "sum")])
def test_soft_labels_are_refused_with_advice(name: str) -> None:
    loss, labels = loss_of(name), logits_of().detach().softmax(-1)
    with pytest.raises(ConfigError, match="takes token ids as labels.*cross_entropy"):
        loss(logits_of(), labels, metadata_of())
