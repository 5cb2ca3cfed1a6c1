"""Heads split, normalised and rotated in one pass, compared with separate operations."""

import math

import pytest
import torch
from torch.nn import functional

from trimtab.models.heads import split_heads
from trimtab.models.positions import position_ids, rotate, rotation

HEADS, KV_HEADS, SIZE = 4, 2, 6


def made(dtype=torch.float64, batch=2, length=5):
    """A joint projection, the weights of the norms, and rotary tables that differ between rows."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)

    joint = draw(batch, length, HEADS + 2 * KV_HEADS, SIZE).requires_grad_()
    weights = tuple((1 + 0.1 * draw(SIZE)).to(torch.float32 if dtype == torch.bfloat16 else dtype) for _ in range(2))
    real = torch.ones(batch, length, dtype=torch.bool)
    real[0, :2] = False
    tables = rotation(position_ids(length, real, torch.device("cpu")), SIZE, weights[0].dtype)
    return joint, tuple(weight.requires_grad_() for weight in weights), tables


def separately(joint, norms, tables):
    q, k, v = joint.split((HEADS, KV_HEADS, KV_HEADS), dim=2)
    if norms is not None:
        q, k = (functional.rms_norm(x, (SIZE,), weight, 1e-6) for x, weight in zip((q, k), norms, strict=True))
    if tables is not None:
        q, k = rotate(q, tables), rotate(k, tables)
    return q.transpose(1, 2) / math.sqrt(SIZE), k.transpose(1, 2), v.transpose(1, 2)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("normed", [False, True])
def test_heads_and_gradients_equal_separate_operations(normed, rotated):
    joint, norms, tables = made()
    inputs = (joint, *norms) if normed else (joint,)
    chosen = (norms if normed else None, tables if rotated else None)
    ours, expected = split_heads(joint, KV_HEADS, *chosen), separately(joint, *chosen)
    generator = torch.Generator().manual_seed(1)
    factors = [torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in expected]
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    gradients = [
        torch.autograd.grad(sum((x * f).sum() for x, f in zip(heads, factors, strict=True)), inputs)
        for heads in (ours, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("normed", [False, True])
def test_gradients_pass_gradcheck(normed, rotated):
    joint, norms, tables = made(batch=2, length=3)
    tables = tables if rotated else None
    if normed:
        assert torch.autograd.gradcheck(lambda x, a, b: split_heads(x, KV_HEADS, (a, b), tables), (joint, *norms))
    else:
        assert torch.autograd.gradcheck(lambda x: split_heads(x, KV_HEADS, None, tables), (joint,))


def test_bf16_is_rounded_once():
    joint, norms, tables = made(torch.bfloat16, length=40)
    ours = split_heads(joint, KV_HEADS, norms, tables)
    expected = separately(joint.float(), norms, tables)
    for one, other in zip(ours, expected, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.float(), other, rtol=2**-8, atol=1e-6)


def test_outputs_that_nothing_depends_on_have_gradients_of_zero():
    joint, norms, tables = made()
    _, _, v = split_heads(joint, KV_HEADS, norms, tables)
    (gradient,) = torch.autograd.grad(v.sum(), (joint,))
    assert float(gradient[:, :, -KV_HEADS:].min()) == 1.0
    assert float(gradient[:, :, :-KV_HEADS].abs().max()) == 0.0
