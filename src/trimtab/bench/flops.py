"""Floating-point operations: how many a training step needs, and how many per second the machine reaches at most."""

import statistics
import time

import torch

from trimtab.models import Decoder
from trimtab.models.layers import Linear


def model_flops(model: Decoder, tokens: int) -> float:
    """Floating-point operations of one training step on `tokens` tokens in full windows, forward and backward.

    Uses the convention of PaLM's model FLOPs utilisation (Chowdhery et al. 2022, appendix B), with causal attention: a product
    of [m, k] by [k, n] counts 2·m·k·n; a linear layer costs this once forward and twice backward, and so do QKᵀ and the weighted
    sum of the values, over the (context + 1) / 2 keys that a query attends to on average. Nothing else counts: no embedding
    look-up, softmax, norm, dropout or optimiser, and no unnecessary computation of an implementation.
    """
    linear = sum(module.weight.numel() for module in model.modules() if isinstance(module, Linear))
    head = model.token_embedding.numel() if model.head is None else 0
    attention = 2 * model.layers * model.width * (model.context + 1) / 2
    return 6.0 * (linear + head + attention) * tokens


def matmul_peak(dtype: torch.dtype, *, size: int = 2048, rounds: int = 7) -> float:
    """FLOP/s of a square matrix product of `size`: the median of `rounds`, with the current number of threads."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(size, size, generator=generator).to(dtype)
    b = torch.randn(size, size, generator=generator).to(dtype)
    product = a @ b
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        seconds.append(time.perf_counter() - start)
    return 2.0 * float(size) ** 3 / statistics.median(seconds)
