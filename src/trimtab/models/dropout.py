"""Dropout with masks made from raw random bits: like `nn.Dropout`, at a fraction of the cost.

Each decision compares ten random bits with a threshold, so probabilities are accurate to 1/2048. The comparison is bit-sliced:
one integer operation on planes of words advances as many comparisons as there are bits, and bits below the threshold's lowest set
bit are not drawn. Two vectorised passes expand the decisions into masks (all bits set, or none), and a bitwise *and* applies a
mask to the bits of the floating-point values.
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor
from torch.autograd.function import once_differentiable

_BITS = 10
_LEVELS = 1 << _BITS
_LANE = 16
"""Decisions are made in lanes of this many bits: the width of bf16, where speed matters most."""
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_SEED_LIMIT = (1 << 63) - 1


def dropped_levels(probability: float) -> int:
    """How many of the 1024 values of ten bits mean *drop*: at least one if the probability is above 0.

    Raises:
        ValueError: `probability` is outside [0, 1).
    """
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"a dropout probability must be in [0, 1), but it is {probability}")
    if probability == 0.0:
        return 0
    return min(max(round(probability * _LEVELS), 1), _LEVELS - 1)


class Masks:
    """The keep masks of one forward pass, in the order of the calls.

    One number drawn from `generator` seeds all of them, so a pass advances the stream by the same amount for every model size,
    and the same generator state gives the same masks for any number of threads. On a CPU the bits come from SFC64
    (Doty-Humphrey, PractRand; numpy's is twice as fast as torch's Mersenne Twister), elsewhere from the device's own generator.
    """

    def __init__(self, probability: float, generator: torch.Generator, device: torch.device) -> None:
        self._dropped = dropped_levels(probability)
        self._device = device
        self._shifts = torch.arange(_LANE - 1, -1, -1, dtype=torch.int16, device=device)[:, None]
        seed = int(torch.randint(_SEED_LIMIT, (), generator=generator, device=generator.device))
        if device.type == "cpu":
            self._source = np.random.SFC64(seed)
        else:
            self._generator = torch.Generator(device).manual_seed(seed)

    @property
    def scale(self) -> float:
        """The factor for kept values: the inverse of the exact keep probability."""
        return _LEVELS / (_LEVELS - self._dropped)

    def _planes(self, planes: int, lanes: int) -> Int16[Tensor, "planes lanes"]:
        """Uniform random words."""
        if self._device.type != "cpu":
            low, high = -(1 << (_LANE - 1)), 1 << (_LANE - 1)
            size = (planes, lanes)
            return torch.randint(low, high, size, dtype=torch.int16, generator=self._generator, device=self._device)
        words = self._source.random_raw(math.ceil(planes * lanes / 4)).view(np.int16)
        return torch.from_numpy(words[: planes * lanes].reshape(planes, lanes))

    def _drop(self, lanes: int) -> Int16[Tensor, " lanes"]:
        """Words whose every bit is set with the drop probability: bit-sliced `random < dropped`, lowest bit first."""
        lowest = (
            self._dropped & -self._dropped
        ).bit_length() - 1  # lower bits do not matter, because equal is not below
        planes = self._planes(_BITS - lowest, lanes)
        below = planes[0].bitwise_not_()
        for bit, plane in enumerate(planes[1:], start=lowest + 1):
            if self._dropped >> bit & 1:
                below |= plane.bitwise_not_()
            else:
                below &= plane.bitwise_not_()
        return below

    def keep(self, shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> Tensor:
        """A mask for values of `dtype` and `shape`: integers of the same width, -1 (every bit) to keep and 0 to drop."""
        count = math.prod(shape)
        integer = _INTEGERS[dtype.itemsize]
        if self._dropped == 0:
            return torch.full(shape, -1, dtype=integer, device=self._device)
        lanes = math.ceil(count / _LANE)
        keep = self._drop(lanes).bitwise_not_()
        # Each bit of a word in turn becomes the sign bit, and the shift back copies it to all bits.
        mask = torch.bitwise_left_shift(keep, self._shifts).bitwise_right_shift_(_LANE - 1)
        return mask.view(-1)[:count].view(shape).to(integer)


def apply_mask(values: Tensor, mask: Tensor) -> Tensor:
    """`values` where `mask` keeps, +0.0 elsewhere (also where the value is not finite)."""
    return torch.bitwise_and(values.view(mask.dtype), mask).view(values.dtype)


def apply_mask_(values: Tensor, mask: Tensor) -> Tensor:
    """As `apply_mask`, in place."""
    values.view(mask.dtype).bitwise_and_(mask)
    return values


class _Dropout(torch.autograd.Function):
    """x -> mask * x * scale."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.scale = scale
        return apply_mask(values.contiguous(), mask).mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        return apply_mask(gradient.contiguous(), mask).mul_(ctx.scale), None, None


class _AddDropped(torch.autograd.Function):
    """(residual, branch) -> residual + mask * branch * scale, where the residual stream may be wider than the branch."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, branch: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.scale = scale
        ctx.dtype = branch.dtype
        dropped = apply_mask(branch.contiguous(), mask)
        # Converted first: torch adds mixed types one element at a time, 100 times slower.
        return torch.add(residual, dropped.to(residual.dtype), alpha=scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        branch = (gradient * ctx.scale).to(ctx.dtype).contiguous()
        return gradient, apply_mask_(branch, mask), None, None


def dropout(values: Float[Tensor, "..."], masks: Masks | None) -> Float[Tensor, "..."]:
    """Inverted dropout (Srivastava et al. 2014) with the next mask of `masks`; the values themselves without masks."""
    if masks is None:
        return values
    result: Tensor = _Dropout.apply(values, masks.keep(values.shape, values.dtype), masks.scale)  # type: ignore[no-untyped-call]
    return result


def add_dropped(
    residual: Float[Tensor, "*shape"], branch: Float[Tensor, "*shape"], masks: Masks | None
) -> Float[Tensor, "*shape"]:
    """`residual + dropout(branch)`, in the residual's precision."""
    if masks is None:
        return residual + branch.to(residual.dtype)
    mask = masks.keep(branch.shape, branch.dtype)
    result: Tensor = _AddDropped.apply(residual, branch, mask, masks.scale)  # type: ignore[no-untyped-call]
    return result
