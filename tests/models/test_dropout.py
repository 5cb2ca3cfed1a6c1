"""Dropout masks: share, scale, independence, reproducibility."""

import math

import pytest
import torch

from trimtab.models.dropout import Masks, add_dropped, apply_mask, dropout, dropped_levels

CPU = torch.device("cpu")


def masks(probability=0.1, seed=0):
    return Masks(probability, torch.Generator().manual_seed(seed), CPU)


def kept(count, probability=0.1, seed=0):
    """0/1 decisions as fp64."""
    return -masks(probability, seed).keep((count,), torch.bfloat16).double()


def correlation(a, b):
    a, b = a.flatten() - a.mean(), b.flatten() - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()))


@pytest.mark.parametrize("probability", [0.0, 0.003, 0.1, 0.25, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_dropped_share_equals_the_probability(probability, dtype):
    mask = masks(probability).keep((4_000_000,), dtype)
    assert mask.dtype.itemsize == dtype.itemsize
    assert set(mask.unique().tolist()) <= {0, -1}
    assert abs(float((mask == 0).double().mean()) - probability) < 1e-3


def test_probabilities_are_rounded_to_1024ths():
    assert dropped_levels(0.1) / 1024 == pytest.approx(0.1, abs=1 / 2048)
    assert dropped_levels(0.9999999) == 1023
    for wrong in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="probability"):
            dropped_levels(wrong)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_scaling_preserves_the_mean(dtype):
    values = torch.full((4_000_000,), 3.0, dtype=dtype)
    dropped = dropout(values, masks(0.2)).double()
    assert float(dropped.mean()) == pytest.approx(3.0, rel=2e-3)
    assert dropped[dropped != 0].unique().tolist() == pytest.approx([3.75], rel=4e-3)
    assert masks(0.2).scale * (1 - dropped_levels(0.2) / 1024) == 1.0


def test_dropped_values_are_zero_even_where_not_finite():
    mask = masks(0.5).keep((1000,), torch.float32)
    values = torch.full((1000,), math.nan)
    result = apply_mask(values, mask)
    assert torch.equal(result == 0, mask == 0)
    assert bool(result[mask != 0].isnan().all())


def test_positions_are_independent():
    decisions = kept(4_000_000)
    bound = 4.5 / math.sqrt(4_000_000)
    half = decisions.numel() // 2
    # Neighbours share a 64-bit draw; the halves come from the two generators.
    for lag in (1, 2, 3, 4, 5, 8, 64, 256, 1024, 65536, half):
        assert abs(correlation(decisions[:-lag], decisions[lag:])) < bound * math.sqrt(2), lag


def test_pairs_are_dropped_together_as_often_as_by_chance():
    dropped = 1 - kept(4_000_000)
    for a, b in ((0, 1), (0, 2), (0, 3), (1, 2), (2, 3)):
        both = float((dropped.view(-1, 4)[:, a] * dropped.view(-1, 4)[:, b]).mean())
        assert both == pytest.approx(0.01, abs=5e-4), (a, b)


def test_layers_heads_and_steps_are_independent():
    heads, size = 64, 128 * 256
    step = masks(seed=1)
    layers = [-step.keep((heads, size), torch.bfloat16).double() for _ in range(4)]
    following = -masks(seed=2).keep((heads, size), torch.bfloat16).double()
    bound = 4.5 / math.sqrt(heads * size)
    for i, one in enumerate(layers):
        assert abs(correlation(one, following)) < bound
        for other in layers[i + 1 :]:
            assert abs(correlation(one, other)) < bound
    by_head = layers[0] - layers[0].mean(dim=1, keepdim=True)
    matrix = torch.corrcoef(by_head)
    off = matrix[~torch.eye(heads, dtype=torch.bool)]
    assert float(off.abs().max()) < 5.5 / math.sqrt(size)
    assert float(off.std()) == pytest.approx(1 / math.sqrt(size), rel=0.1)


def test_counts_have_binomial_variance():
    counts = kept(4_000_000).view(4000, 1000).sum(dim=1)
    assert float(counts.var()) == pytest.approx(1000 * 0.1 * 0.9, rel=0.08)


def test_the_same_state_gives_the_same_masks_and_the_stream_advances():
    generator = torch.Generator().manual_seed(5)
    state = generator.get_state()
    first = Masks(0.1, generator, CPU).keep((300_000,), torch.bfloat16)
    second = Masks(0.1, generator, CPU).keep((300_000,), torch.bfloat16)
    generator.set_state(state)
    again = Masks(0.1, generator, CPU).keep((300_000,), torch.bfloat16)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_masks_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        both = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            both.append(masks().keep((300_001,), torch.bfloat16))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*both)


def test_the_global_generator_is_not_used():
    before = torch.random.get_rng_state()
    masks().keep((300_000,), torch.bfloat16)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("fixed", [0, 1])
def test_gradients_are_those_of_the_masked_product(fixed):
    residual = torch.randn(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    branch = torch.randn(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(4), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: dropout(x, masks(0.4, fixed)), (branch,))
    assert torch.autograd.gradcheck(lambda r, b: add_dropped(r, b, masks(0.4, fixed)), (residual, branch))
    mask = -masks(0.4, fixed).keep((6, 7), torch.float64).double()
    expected = residual + branch * mask * masks(0.4).scale
    assert torch.allclose(add_dropped(residual, branch, masks(0.4, fixed)), expected, rtol=0, atol=1e-15)


def test_a_bf16_branch_is_added_to_an_fp32_residual():
    residual = torch.zeros(64, 64, requires_grad=True)
    branch = torch.ones(64, 64, dtype=torch.bfloat16, requires_grad=True)
    result = add_dropped(residual, branch, masks(0.5))
    result.sum().backward()
    assert result.dtype == torch.float32
    assert branch.grad.dtype == torch.bfloat16
    assert torch.equal(branch.grad.float(), result.detach())
    assert torch.equal(add_dropped(residual, branch, None), torch.ones(64, 64))
