"""The attention core compared with the textbook formula and torch's own function."""

import math

import pytest
import torch
from torch.nn import functional

from trimtab.models.attention_core import allowed_keys, attend, causal_attention, query_blocks
from trimtab.models.dropout import Masks


def qkv(batch, length, heads, kv_heads, size, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(count):
        return torch.randn(batch, length, count, size, dtype=dtype, generator=generator).requires_grad_()

    return draw(heads), draw(kv_heads), draw(kv_heads)


def core(q, k, v, **options):
    """The core on time-first tensors, with the queries' scale."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return causal_attention(q / math.sqrt(q.shape[-1]), k, v, **options)


def plain(q, k, v, allowed=None, keep=None, scale=1.0):
    """softmax(Q Kᵀ / √d) V, written out; `keep` [batch, heads, time, time] drops weights."""
    repeat = q.shape[2] // k.shape[2]
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    length = q.shape[2]
    seen = torch.ones(length, length, dtype=torch.bool).tril() if allowed is None else allowed
    weights = scores.masked_fill(~seen, -math.inf).softmax(-1)
    if keep is not None:
        weights = weights * keep * scale
    return (weights @ v).transpose(1, 2).flatten(2)


def keep_of(masks, batch, heads, kv_heads, length):
    """The masks that the core will draw, laid out as [batch, heads, time, time] (1 keeps)."""
    groups = heads // kv_heads
    full = torch.zeros(batch, heads, length, length, dtype=torch.float64)
    for start, end in query_blocks(length):
        drawn = -masks.keep((batch * kv_heads, groups * (end - start), end), torch.float64).double()
        full[:, :, start:end, :end] = drawn.view(batch, heads, end - start, end)
    return full


def fresh(seed=9, probability=0.3):
    return Masks(probability, torch.Generator().manual_seed(seed), torch.device("cpu"))


def padded(batch, length, left):
    real = torch.ones(batch, length, dtype=torch.bool)
    for row in range(batch):
        cut = min(7 * (row + 1), length // 3)
        if left:
            real[row, :cut] = False
        else:
            real[row, length - cut :] = False
    return real


@pytest.mark.parametrize("length", [1, 5, 64, 65, 130, 256, 300])
def test_blocks_cover_every_query_once(length):
    blocks = query_blocks(length)
    assert [position for start, end in blocks for position in range(start, end)] == list(range(length))
    assert len(blocks) <= 4


@pytest.mark.parametrize("length", [3, 64, 150, 256])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("dropping", [False, True])
@pytest.mark.parametrize("padding", ["none", "left", "right"])
def test_outputs_and_gradients_equal_plain_autograd(length, kv_heads, dropping, padding):
    batch, heads, size = 2, 4, 6
    inputs = qkv(batch, length, heads, kv_heads, size)
    allowed = None if padding == "none" else allowed_keys(padded(batch, length, padding == "left"))
    keep = keep_of(fresh(), batch, heads, kv_heads, length) if dropping else None
    ours = core(*inputs, allowed=allowed, masks=fresh() if dropping else None)
    expected = plain(*inputs, allowed=allowed, keep=keep, scale=fresh().scale)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    weight = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((ours * weight).sum(), inputs)
    expected_gradients = torch.autograd.grad((expected * weight).sum(), inputs)
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("dropping", [False, True])
def test_gradients_across_blocks_pass_gradcheck(dropping, padding):
    inputs = qkv(1, 66, 2, 1, 2)
    allowed = allowed_keys(padded(1, 66, True)) if padding else None
    assert torch.autograd.gradcheck(
        lambda q, k, v: core(q, k, v, allowed=allowed, masks=fresh() if dropping else None),
        inputs,
        fast_mode=True,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_outputs_are_close_to_torchs_in_lower_precision(dtype, tolerance):
    inputs = qkv(2, 256, 4, 4, 64, dtype=dtype)
    expected = functional.scaled_dot_product_attention(*(x.transpose(1, 2).double() for x in inputs), is_causal=True)
    ours = core(*inputs)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), expected.transpose(1, 2).flatten(2), rtol=0, atol=tolerance)


def test_dropout_drops_the_configured_share_and_keeps_the_mean():
    inputs = qkv(8, 256, 4, 4, 4)
    ones = torch.ones_like(inputs[2])
    row_sums = core(inputs[0], inputs[1], ones, masks=fresh(probability=0.1)).detach()
    assert float(row_sums.mean()) == pytest.approx(1.0, abs=3e-3)
    assert float(row_sums.std()) > 0.01


def test_new_queries_attend_to_cached_keys():
    q, k, v = qkv(2, 40, 4, 2, 8)
    whole = core(q, k, v)
    seen = torch.ones(5, 40, dtype=torch.bool).tril(35)[None, None]
    torch.testing.assert_close(
        attend(q[:, 35:].transpose(1, 2) / math.sqrt(8), k.transpose(1, 2), v.transpose(1, 2), allowed=seen),
        whole[:, 35:],
        rtol=0,
        atol=1e-12,
    )
