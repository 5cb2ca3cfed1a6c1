"""Norms and SwiGLU with hand-written backward passes, compared with torch's operations."""

import pytest
import torch
from torch.nn import functional

from trimtab.models.layers import RMSNorm, swiglu


def drawn(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()


def norm_of(width, dtype=torch.float64):
    norm = RMSNorm(width).to(dtype)
    norm.weight.data.copy_(1 + 0.1 * drawn(width, seed=1).detach())
    return norm


def test_rms_norm_and_its_gradients_equal_torchs():
    x, norm, factor = drawn(3, 4, 10), norm_of(10), drawn(3, 4, 10, seed=2).detach()
    ours, expected = norm(x), functional.rms_norm(x, (10,), norm.weight, RMSNorm.EPSILON)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-13)
    gradients = [torch.autograd.grad((y * factor).sum(), (x, norm.weight)) for y in (ours, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_rms_norm_passes_gradcheck():
    norm = norm_of(5)
    assert torch.autograd.gradcheck(lambda x, _: norm(x), (drawn(2, 3, 5), norm.weight))


def test_rms_norm_is_rounded_once_to_the_precision_asked_for():
    x, norm = drawn(4, 64, dtype=torch.float32), norm_of(64, torch.float32)
    ours = norm(x, torch.bfloat16)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), norm(x), rtol=2**-8, atol=0)


def test_a_row_of_zeros_has_a_finite_norm_and_gradient():
    x, norm = torch.zeros(1, 8, requires_grad=True), norm_of(8, torch.float32)
    y = norm(x)
    (gradient,) = torch.autograd.grad(y.sum(), (x,))
    assert torch.equal(y, torch.zeros(1, 8))
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_swiglu_and_its_gradient_equal_torchs(dtype):
    x, factor = drawn(3, 5, 12, dtype=dtype), drawn(3, 5, 6, dtype=dtype, seed=2).detach()
    gate, value = x.chunk(2, dim=-1)
    ours, expected = swiglu(x), functional.silu(gate) * value
    gradients = [torch.autograd.grad(y, (x,), factor)[0] for y in (ours, expected)]
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-14 if dtype == torch.float64 else 0)


def test_swiglu_passes_gradcheck():
    assert torch.autograd.gradcheck(swiglu, (drawn(2, 3, 8),))
