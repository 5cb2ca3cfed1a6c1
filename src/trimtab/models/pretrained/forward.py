"""The forward pass of a transformers network: positions, precision, and the options that its `forward` takes."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trimtab.models.positions import position_ids

HALF = (torch.bfloat16, torch.float16)


def network_logits(
    network: Any,
    input_ids: Int[Tensor, "batch new"],
    attention_mask: Bool[Tensor, "batch all"] | Int[Tensor, "batch all"] | None = None,
    *,
    dtype: torch.dtype | None = None,
    last: bool = False,
    **options: Any,
) -> Float[Tensor, "batch some vocab"]:
    """The logits after `input_ids`, in the network's output precision.

    `attention_mask` is true at real tokens and covers cached tokens and `input_ids`; if the network takes positions, they are
    counted over real tokens. With a `dtype`, matrix products run in it and the residual stream starts in fp32. `last` gives the
    logits of the last position only. `options` are passed to the network.
    """
    takes = _parameters(network)
    if attention_mask is not None:
        options["attention_mask"] = attention_mask.long()
        if "position_ids" in takes and "position_ids" not in options:
            places = position_ids(attention_mask.shape[1], attention_mask.bool(), input_ids.device)
            options["position_ids"] = places[:, -input_ids.shape[1] :]
    if last and "logits_to_keep" in takes:
        options["logits_to_keep"] = 1
    with (
        torch.autocast(input_ids.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None),
        _stream_in_fp32(network, enabled=dtype is not None),
    ):
        logits: Tensor = network(input_ids=input_ids, **options).logits
    return logits[:, -1:] if last else logits


def takes_positions(network: nn.Module) -> bool:
    """Whether a network's `forward` has the parameter `position_ids`."""
    return "position_ids" in _parameters(network)


def _parameters(network: nn.Module) -> frozenset[str]:
    return frozenset(inspect.signature(network.forward).parameters)


@contextmanager
def _stream_in_fp32(network: Any, *, enabled: bool) -> Iterator[None]:
    """While the block runs, the output of 16-bit token embeddings is converted to fp32.

    A hook does this, so that the network still gets `input_ids`: some networks (Gemma 3n) use them elsewhere too.
    """
    if not enabled:
        yield
        return
    handle = network.get_input_embeddings().register_forward_hook(_to_fp32)
    try:
        yield
    finally:
        handle.remove()


def _to_fp32(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    del module, inputs
    return output.float() if output.dtype in HALF else output
