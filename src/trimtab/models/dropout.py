"""Dropout whose masks are cut from raw random bits: the same decisions as `nn.Dropout`, at a fraction of its price.

A keep decision is one 16-bit word compared with a threshold, so a probability is met to 1/65536 and every decision has
random bits of its own. Two vectorised integer passes turn words into masks (all bits set, or none), and a bitwise *and*
applies a mask to the floating-point values' own bits. `bernoulli_` needs 5 to 8 ns an element on a CPU, this 0.4 ns.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16
_SHARED_FROM = 1 << 14
"""Requests of this many 64-bit words or more are drawn by two generators, half each (whatever the number of threads)."""
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_SEED_LIMIT = (1 << 63) - 1
_pools: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """The helper thread of this process (a forked child needs one of its own)."""
    pid = os.getpid()
    if pid not in _pools:
        _pools.clear()
        _pools[pid] = ThreadPoolExecutor(1, thread_name_prefix="trimtab-dropout")
    return _pools[pid]


def dropped_levels(probability: float) -> int:
    """How many of the 65536 values of a word mean *drop*.

    Raises:
        ValueError: `probability` is outside [0, 1).
    """
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"a dropout probability lies in [0, 1), found {probability}")
    return min(round(probability * _LEVELS), _LEVELS - 1)


class Masks:
    """The keep masks of one forward pass, in the order in which they are asked for.

    One number drawn from `generator` seeds everything, so a pass moves the stream by the same amount whatever the model's
    size, and the same generator state gives the same masks. On a CPU the words come from two SFC64 generators (Doty-Humphrey,
    PractRand), elsewhere from the device's own generator.
    """

    def __init__(self, probability: float, generator: torch.Generator, device: torch.device) -> None:
        self._dropped = dropped_levels(probability)
        self._device = device
        seed = int(torch.randint(_SEED_LIMIT, (), generator=generator, device=generator.device))
        if device.type == "cpu":
            first, second = np.random.SeedSequence(seed).spawn(2)
            self._sources = (np.random.SFC64(first), np.random.SFC64(second))
        else:
            self._generator = torch.Generator(device).manual_seed(seed)

    @property
    def scale(self) -> float:
        """What kept values are multiplied with: the inverse of the exact keep probability."""
        return _LEVELS / (_LEVELS - self._dropped)

    def _words(self, count: int) -> Int[Tensor, " count"]:
        """`count` uniform 16-bit words."""
        if self._device.type != "cpu":
            low, high = -(_LEVELS // 2), _LEVELS // 2
            return torch.randint(low, high, (count,), dtype=torch.int16, generator=self._generator, device=self._device)
        draws = math.ceil(count / 4)
        first, second = self._sources
        if draws < _SHARED_FROM:
            return torch.from_numpy(first.random_raw(draws).view(np.int16))[:count]
        half = draws // 2
        words = torch.empty(draws * 4, dtype=torch.int16)
        target = words.numpy().view(np.uint64)

        def fill() -> None:
            target[half:] = second.random_raw(draws - half)

        if torch.get_num_threads() > 1:
            pending = _pool().submit(fill)
            target[:half] = first.random_raw(half)
            pending.result()
        else:
            target[:half] = first.random_raw(half)
            fill()
        return words[:count]

    def keep(self, shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> Tensor:
        """A mask for values of `dtype` and `shape`: integers of the same width, -1 (every bit) to keep and 0 to drop."""
        words = self._words(math.prod(shape))
        threshold = self._dropped - _LEVELS // 2
        if threshold <= -(_LEVELS // 2):
            mask = torch.full_like(words, -1)
        else:
            mask = words.clamp_(threshold - 1, threshold).neg_().add_(threshold - 1)
        return mask.view(shape).to(_INTEGERS[dtype.itemsize])


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
