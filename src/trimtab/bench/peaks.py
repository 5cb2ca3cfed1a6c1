"""What the machine could do at most."""

import statistics
import time

import torch


def matmul_peak(dtype: torch.dtype, *, size: int = 2048, rounds: int = 7) -> float:
    """FLOP/s of a square matrix product of `size`, the median of `rounds`, with the present number of threads."""
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
