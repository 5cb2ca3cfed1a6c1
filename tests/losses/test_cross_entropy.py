import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from trimtab.losses import CrossEntropy
from trimtab.losses.cross_entropy import IGNORE

BATCH, TIME, VOCABULARY = 3, 5, 7


def logits_of(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (
        (torch.randn(BATCH, TIME, VOCABULARY, generator=generator, dtype=torch.float64) * 3).to(dtype).requires_grad_()
    )


def labels_of(seed: int = 1, ignored: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(VOCABULARY, (BATCH, TIME), generator=generator)
    labels.view(-1)[torch.randperm(BATCH * TIME, generator=generator)[:ignored]] = IGNORE
    return labels


def soft_of(seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(BATCH, TIME, VOCABULARY, generator=generator, dtype=torch.float64).softmax(-1)


def test_hard_labels_give_the_loss_of_torch() -> None:
    ours, reference, labels = logits_of(), logits_of(), labels_of()
    output = CrossEntropy()(ours, labels, {})
    expected = functional.cross_entropy(reference.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
    torch.testing.assert_close(output["loss"], expected)
    assert float(output["weight"]) == BATCH * TIME - 4
    assert output["aux"] == {}
    output["loss"].backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, reference.grad)


def test_soft_labels_give_the_loss_of_torch() -> None:
    ours, reference, labels = logits_of(dtype=torch.float64), logits_of(dtype=torch.float64), soft_of()
    output = CrossEntropy()(ours, labels, {})
    expected = functional.cross_entropy(reference.flatten(0, 1), labels.flatten(0, 1))
    torch.testing.assert_close(output["loss"], expected)
    assert float(output["weight"]) == BATCH * TIME
    output["loss"].backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, reference.grad)


def test_one_hot_soft_labels_give_the_loss_of_hard_labels() -> None:
    logits, labels = logits_of(), labels_of(ignored=0)
    soft = functional.one_hot(labels, VOCABULARY).float()
    torch.testing.assert_close(CrossEntropy()(logits, soft, {})["loss"], CrossEntropy()(logits, labels, {})["loss"])


def test_a_value_computed_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [0.0, 3.0**0.5]]])
    output = CrossEntropy()(logits, torch.tensor([[1, IGNORE]]), {})
    assert float(output["loss"]) == pytest.approx(0.6931471805599453)


def test_ignored_positions_have_no_gradient() -> None:
    logits, labels = logits_of(), labels_of()
    CrossEntropy()(logits, labels, {})["loss"].backward()
    assert logits.grad is not None
    assert bool((logits.grad[labels == IGNORE] == 0).all())
    assert bool((logits.grad[labels != IGNORE] != 0).any(-1).all())


def test_soft_labels_that_are_all_zero_are_no_targets() -> None:
    logits, labels = logits_of(), soft_of().float()
    labels[0, :3] = 0
    output = CrossEntropy()(logits, labels, {})
    mask = labels.sum(-1) > 0
    expected = functional.cross_entropy(logits[mask], labels[mask])
    torch.testing.assert_close(output["loss"], expected)
    assert float(output["weight"]) == BATCH * TIME - 3


@pytest.mark.parametrize("labels", [torch.full((BATCH, TIME), IGNORE), torch.zeros(BATCH, TIME, VOCABULARY)])
def test_a_batch_without_targets_has_loss_0_and_gradient_0(labels: Tensor) -> None:
    logits = logits_of()
    output = CrossEntropy()(logits, labels, {})
    assert float(output["loss"].detach()) == 0.0
    assert float(output["weight"]) == 0.0
    output["loss"].backward()
    assert logits.grad is not None
    assert bool((logits.grad == 0).all())


def test_a_token_of_probability_0_adds_nothing_where_its_target_is_0() -> None:
    logits = logits_of().detach()
    logits[..., 0] = -torch.inf
    logits.requires_grad_()
    soft = soft_of().float()
    soft[..., 0] = 0
    output = CrossEntropy()(logits, soft, {})
    rest = functional.cross_entropy(logits[..., 1:].flatten(0, 1), soft[..., 1:].flatten(0, 1))
    torch.testing.assert_close(output["loss"], rest)
    output["loss"].backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("labels", [labels_of(), soft_of().float()], ids=["hard", "soft"])
def test_half_precision_logits_are_computed_in_fp32(dtype: torch.dtype, labels: Tensor) -> None:
    half = logits_of().detach().to(dtype).requires_grad_()
    output = CrossEntropy()(half, labels, {})
    assert output["loss"].dtype == torch.float32
    assert output["weight"].dtype == torch.float32
    assert torch.equal(output["loss"], CrossEntropy()(half.detach().float(), labels, {})["loss"])
    output["loss"].backward()
    assert half.grad is not None
    assert half.grad.dtype == dtype


def test_double_logits_stay_double() -> None:
    assert CrossEntropy()(logits_of(dtype=torch.float64), labels_of(), {})["loss"].dtype == torch.float64


@pytest.mark.parametrize("labels", [labels_of(), soft_of()], ids=["hard", "soft"])
def test_the_gradient_passes_gradcheck(labels: Tensor) -> None:
    logits = logits_of(dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: CrossEntropy()(x, labels, {})["loss"], (logits,))


@given(st.lists(st.integers(0, TIME), min_size=BATCH, max_size=BATCH), st.integers(0, 2**31))
def test_micro_batches_do_not_change_the_result(counts: list[int], seed: int) -> None:
    labels = labels_of(seed, ignored=0)
    for row, count in enumerate(counts):
        labels[row, count:] = IGNORE
    whole, cut = logits_of(seed, torch.float64), logits_of(seed, torch.float64)
    output = CrossEntropy()(whole, labels, {})
    output["loss"].backward()
    parts = [CrossEntropy()(cut[row : row + 1], labels[row : row + 1], {}) for row in range(BATCH)]
    weight = sum(float(part["weight"]) for part in parts)
    total = torch.stack([part["loss"] * part["weight"] for part in parts]).sum() / max(weight, 1)
    total.backward()
    assert weight == float(output["weight"])
    torch.testing.assert_close(total, output["loss"])
    torch.testing.assert_close(cut.grad, whole.grad)


def test_losses_data_and_evaluation_ignore_the_same_label() -> None:
    # Packages of one floor do not import each other, so each has its own copy.
    from trimtab.data import batch
    from trimtab.evaluation.evaluate import IGNORE as EVALUATED

    assert batch.IGNORE == EVALUATED == IGNORE == -100
