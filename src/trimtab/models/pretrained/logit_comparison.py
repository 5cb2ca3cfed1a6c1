"""Comparing logits of networks, computed on copies that share the weights, so that the networks do not change."""

import copy
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trimtab.errors import DataError
from trimtab.models.pretrained.forward import network_logits
from trimtab.models.pretrained.loading import blocks_of

TOLERANCE = 0.01
"""The largest difference between two fp32 computations, in standard deviations of the logits. Correct networks differ by less
than a tenth of it, wrong ones by more than ten times it."""

_MASKED = 1e30
"""Logits beyond this are not compared: some networks give the lowest number to tokens that they never produce."""


def logits_in_fp32(network: nn.Module, tokens: int = 12) -> Float[Tensor, "tokens vocab"]:
    """The logits of a few random tokens, computed in fp32 without dropout whatever the network's precision and mode are."""
    shared = structural_copy(network)
    device = next(network.parameters()).device
    table = int(shared.get_input_embeddings().weight.shape[0])
    ids = torch.randint(0, table, (1, tokens), generator=torch.Generator().manual_seed(0)).to(device)
    with torch.random.fork_rng(), torch.no_grad(), in_precision(shared, fp32):
        return network_logits(shared, ids)[0].float().cpu()


def structural_copy(network: nn.Module) -> Any:
    """A copy of a network in evaluation mode with its own modules and buffers, whose parameters share the network's memory."""
    shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
    return copy.deepcopy(network, shared).eval()


@contextmanager
def in_precision(network: nn.Module, dtype_of: Callable[[Tensor], torch.dtype]) -> Iterator[None]:
    """While the block runs, parameters have the precision `dtype_of` during the forward pass of their module.

    Blocks are converted one at a time, so a large 16-bit network is never completely in memory in 32 bits. Use it on a
    `structural_copy` only, because it exchanges the data of parameters.
    """
    stored: dict[nn.Module, list[tuple[nn.Parameter, Tensor]]] = {}

    def convert(module: nn.Module, inputs: Any) -> None:
        del inputs
        named = list(module.parameters(recurse=module in blocks))
        wrong = [p for p in named if p.is_floating_point() and p.dtype != dtype_of(p)]
        stored[module] = [(parameter, parameter.data) for parameter in wrong]
        for parameter in wrong:
            parameter.data = parameter.data.to(dtype_of(parameter))

    def restore(module: nn.Module, inputs: Any, output: Any) -> None:
        del inputs, output
        for parameter, data in stored.pop(module, ()):
            parameter.data = data

    blocks = _blocks(network)
    inside = {id(module) for block in blocks for module in block.modules()} - {id(block) for block in blocks}
    handles = []
    for module in network.modules():
        if id(module) not in inside and (module in blocks or next(module.parameters(recurse=False), None) is not None):
            handles.append(module.register_forward_pre_hook(convert))
            handles.append(module.register_forward_hook(restore, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def fp32(parameter: Tensor) -> torch.dtype:
    """The rule of `in_precision` for everything in fp32."""
    del parameter
    return torch.float32


def _blocks(network: nn.Module) -> Sequence[nn.Module]:
    try:
        return tuple(blocks_of(network)[1])
    except DataError:
        return ()


def distance(one: Float[Tensor, "*shape"], other: Float[Tensor, "*shape"]) -> float:
    """The largest difference of two sets of logits in standard deviations of the second; infinite where one is not finite."""
    gap, spread = _compared(one, other)
    return float(gap.max() / spread) if gap.numel() else float("inf")


def typical_distance(one: Float[Tensor, "tokens vocab"], other: Float[Tensor, "tokens vocab"]) -> float:
    """The median over tokens of their root mean squared difference in standard deviations of the second's logits.

    Rounding sends some tokens of a mixture of experts to another expert, which the median leaves out.
    """
    each = []
    for mine, its in zip(one, other, strict=True):
        gap, spread = _compared(mine, its)
        each.append(float(gap.square().mean().sqrt() / spread) if gap.numel() else float("inf"))
    return statistics.median(each)


def _compared(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    one, other = one.double(), other.double()
    compared = (one.abs() < _MASKED) | (other.abs() < _MASKED)
    gap = (one - other)[compared].abs().nan_to_num(nan=torch.inf)
    spread = other[compared].nan_to_num(posinf=0.0, neginf=0.0).std() if gap.numel() > 1 else other.new_ones(())
    return gap, spread.clamp_min(1e-12)
